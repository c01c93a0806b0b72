"""ProCon's errors."""

from penstock.steps.procon import (
    ProConBadMessage,
    ProConDataslotError,
    ProConException,
    ProConJobExecutionError,
    ProConMessageRejected,
    ProConSchemaError,
    ProConSchemaValidationError,
    ProConShutdown,
    ProConUnknownFunctionError,
    ProConWorkerNotAvailable,
)

__all__ = [
    "ProConBadMessage",
    "ProConDataslotError",
    "ProConException",
    "ProConJobExecutionError",
    "ProConMessageRejected",
    "ProConSchemaError",
    "ProConSchemaValidationError",
    "ProConShutdown",
    "ProConUnknownFunctionError",
    "ProConWorkerNotAvailable",
]
