"""The same by its longer name."""

from . import dataslot

__all__ = ["dataslot"]
