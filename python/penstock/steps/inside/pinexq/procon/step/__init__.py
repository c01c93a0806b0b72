"""Classes of functions, and their versions."""

from penstock.steps.procon import ExecutionContext, Step, version

__all__ = ["ExecutionContext", "Step", "version"]
