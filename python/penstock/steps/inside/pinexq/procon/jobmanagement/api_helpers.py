"""The same by its longer name."""

from penstock.steps.procon import (
    client_from_env_vars,
    get_client,
    get_entrypoint_hco,
    get_grants,
    get_input_workdatas,
    get_job,
    job_from_step_context,
)
from penstock.steps.procon import get_client as client_from_job_execution_context

__all__ = [
    "client_from_env_vars",
    "client_from_job_execution_context",
    "get_client",
    "get_entrypoint_hco",
    "get_grants",
    "get_input_workdatas",
    "get_job",
    "job_from_step_context",
]
