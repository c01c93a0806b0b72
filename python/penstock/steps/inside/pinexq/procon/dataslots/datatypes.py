"""The same by its longer name."""

from . import (
    DataSlotDescription,
    MediaTypes,
    Metadata,
    SlotDescription,
    SlotType,
)

__all__ = ["DataSlotDescription", "MediaTypes", "Metadata", "SlotDescription", "SlotType"]
