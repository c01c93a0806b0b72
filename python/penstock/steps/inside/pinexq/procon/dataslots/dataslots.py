"""The same by its longer name."""

from . import DataSlot, Slot

__all__ = ["DataSlot", "Slot"]
