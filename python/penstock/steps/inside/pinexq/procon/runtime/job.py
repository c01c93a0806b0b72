"""The context of a job, by the name that it has when a worker runs it."""

from penstock.steps.procon import ExecutionContext as RemoteExecutionContext

__all__ = ["RemoteExecutionContext"]
