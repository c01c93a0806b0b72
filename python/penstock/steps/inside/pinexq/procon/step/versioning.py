"""The same by its longer name."""

from penstock.steps.procon import version

__all__ = ["version"]
