"""A worker in one call: a function of one record, run over all that the job hands out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .client import Client
from .errors import LeaseEndedError
from .job import Job
from .lease import Lease, Settled


def work(
    client: Client,
    job: int | str | Job,
    function: Callable[[Any], Any],
    batch: int = 100,
    *,
    wait_s: float = 30.0,
    lease_s: float | None = None,
) -> Settled:
    """Claims, calls, settles until the job has ended. Returns how many went where.

    What `function` returns is the record's result; None, or to raise Skip: there is nothing to
    write. What else it raises is the record's failure, and so is a result that is no JSON; the
    record is then tried again until its attempts are spent, unless it was Fail. The
    lease is extended between records, so one call of `function` may take half of the lease's time.
    """
    total = Settled()
    for lease in client.jobs.get(job).claims(batch, wait_s, lease_s):
        try:
            with lease:
                _run(lease, function, lease_s)
        except LeaseEndedError:
            # Its records are served again, to us or to others: nothing is lost.
            pass
        total += lease.settled
    return total


def _run(lease: Lease, function: Callable[[Any], Any], lease_s: float | None) -> None:
    for number, record in lease.records:
        lease.extend_when_due(lease_s)
        try:
            result = function(record)
            if result is None:
                lease.skip(number)
            else:
                lease.done(number, result)
        except Exception as error:
            lease.fail(number, error)
