"""The same by its longer name."""

from penstock.steps.procon import ExecutionContext, Step

__all__ = ["ExecutionContext", "Step"]
