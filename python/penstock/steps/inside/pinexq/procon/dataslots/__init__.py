"""Files that come in and go out."""

from penstock.steps.dataslot import MediaTypes, SlotType
from penstock.steps.procon import DataSlotDescription, SlotDescription, dataslot
from penstock.steps.slot_file import DataSlot, Metadata, Slot

__all__ = [
    "DataSlot",
    "DataSlotDescription",
    "MediaTypes",
    "Metadata",
    "Slot",
    "SlotDescription",
    "SlotType",
    "dataslot",
]
