"""The same by its longer name."""

from . import Metadata

__all__ = ["Metadata"]
