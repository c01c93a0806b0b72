"""Readers and writers of pydantic's models."""

from penstock.steps.model_files import DefaultReaderWriter

__all__ = ["DefaultReaderWriter"]
