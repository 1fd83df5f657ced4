"""Jobs of BigQuery under ids that are known beforehand: started once, found again, tried again, cancelled.

Belongs here: what happens between the wish for a job and its end.  What a job does is `bigquery_tables`' business.

A job's id is made of the work, so that a request whose answer was lost finds its job instead of starting a second one.  An id
is used up by a job that failed: the same work then gets the next number.  Google's client retries requests for us, never
jobs: with an id of ours it can't (`job_retry=None`).
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from resources.errors import WarehouseError

JOB_DEADLINE_S = 3600.0
"""After that a job is cancelled, by us and, should this process be gone, by BigQuery itself (`jobTimeoutMs`)."""

REQUEST_TIMEOUT_S = 120.0
CANCEL_TIMEOUT_S = 10.0
MAX_IDS = 1000
"""So many failed jobs of the same work are stepped over; ids are kept by BigQuery for half a year."""

PASSING_REASONS = frozenset(
    {
        *("backendError", "jobBackendError", "internalError", "jobInternalError", "badGateway"),
        *("rateLimitExceeded", "jobRateLimitExceeded", "quotaExceeded"),
    }
)
"""Worth another try, a little later.  Source: BigQuery, Error messages; Troubleshoot quota and limit errors."""

CONFLICTS = ("Could not serialize access to table", "Transaction is aborted due to concurrent update")
"""What the text of `invalidQuery` holds when somebody else wrote the same table at that moment.

DML and transactions of one table that overlap are cancelled.  Source: BigQuery, Troubleshoot query errors (Conflicting DML
statements); Multi-statement transactions (Transaction concurrency).
"""
CONFLICT = "a concurrent update"

LASTING_REASONS = frozenset(
    {
        *("accessDenied", "billingNotEnabled", "billingTierLimitExceeded", "bytesBilledLimitExceeded", "duplicate"),
        *("invalid", "invalidQuery", "invalidUser", "notFound", "notImplemented", "resourceInUse", "resourcesExceeded"),
        *("responseTooLarge", "stopped", "tableUnavailable", "timeout"),
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often is tried, and what a query may cost.

    Waits grow from `first_wait_s` to `longest_wait_s`, as Google's service agreement asks for (1 s, doubled, to 32 s);
    `deadline_s` is for one request, and for one piece of work over all its jobs that failed in passing: for the longer
    quotas Google asks for ten minutes.  `bytes_billed`: a query that would be billed for more fails before it runs; None
    leaves it to the project.
    """

    bytes_billed: int | None = None
    deadline_s: float = 900.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 32.0
    job_deadline_s: float = JOB_DEADLINE_S

    def retry(self, also_not_found: bool = False) -> Any:
        """How a request is repeated, as Google's client takes it."""
        from google.api_core.exceptions import NotFound
        from google.api_core.retry import Retry

        def again(error: Exception) -> bool:
            return passing(error) or (also_not_found and isinstance(error, NotFound))

        return Retry(
            predicate=again,
            initial=self.first_wait_s,
            maximum=self.longest_wait_s,
            multiplier=2.0,
            timeout=self.deadline_s,
        )


def reason_of(error: BaseException) -> str:
    """BigQuery's word for the failure, if it is one that is known here; empty for any other: texts may quote a row."""
    from google.api_core.exceptions import RetryError

    if isinstance(error, RetryError) and error.cause is not None:
        error = error.cause
    errors = getattr(error, "errors", None) or [{}]
    first = errors[0] if isinstance(errors[0], dict) else {}
    reason = first.get("reason", "")
    return str(reason) if reason in PASSING_REASONS | LASTING_REASONS else ""


def kind_and_reason(error: BaseException) -> str:
    """What may be told of a failure: its type, and BigQuery's word if it is a known one."""
    return ", ".join(filter(None, [type(error).__name__, reason_of(error)]))


def passing(error: BaseException) -> bool:
    """Whether the same request may go well a little later: lost connections, 429, 5xx, rates and quotas."""
    import requests.exceptions
    from google.api_core.exceptions import GoogleAPICallError, TooManyRequests
    from google.auth.exceptions import TransportError

    if isinstance(error, requests.exceptions.SSLError):
        return False
    if isinstance(error, GoogleAPICallError):
        reason = reason_of(error)
        if reason:
            return reason in PASSING_REASONS
        return isinstance(error, TooManyRequests) or int(error.code or 0) >= 500
    lost = (
        requests.exceptions.ConnectionError,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.Timeout,
        TransportError,
    )
    return isinstance(error, (ConnectionError, *lost))


def ids_of_work(*parts: str) -> Iterator[str]:
    """Ids for the same work, one for each time that it failed before."""
    base = "gradient-" + "-".join("".join(c if c.isalnum() or c in "_-" else "_" for c in part) for part in parts)
    return (f"{base}-{attempt}" for attempt in count())


def fresh_ids(operation: str) -> Iterator[str]:
    """Ids for a question that nobody has asked before."""
    return ids_of_work(operation, uuid.uuid4().hex)


class Jobs:
    """The jobs of one client in one location."""

    def __init__(self, client: Any, location: str, limits: Limits) -> None:
        self._client = client
        self._location = location
        self._limits = limits

    def finished(self, start: Callable[[str], Any], job_ids: Iterator[str], **result: Any) -> Any:
        """Start the job under the first id that no failed job has, or wait for the one that runs under it.

        `start` sends the request; `result` are further arguments of the job's own `result`.  A job that fails in passing is
        tried again under the next id, with growing waits.  When the wait is interrupted, or ends without the job's end, the
        job is cancelled: nobody else waits for it.  Raises `WarehouseError` for work that is given up, and what the client
        raises.
        """
        limits = self._limits
        ends = time.monotonic() + limits.deadline_s
        wait, failures, last = limits.first_wait_s, 0, ""
        for job_id in islice(job_ids, MAX_IDS):
            job = self._started(start, job_id)
            if job is None:
                continue
            outcome = self._outcome(job, job_id, result)
            if not isinstance(outcome, _Failed):
                return outcome
            failures, last = failures + 1, outcome.reason
            if failures > 1 and time.monotonic() + wait > ends:
                break
            # Two hospitals' jobs that were refused together shall not come back together.
            time.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  no secret
            wait = min(wait * 2, limits.longest_wait_s)
        if not failures:
            raise WarehouseError(f"BigQuery: all {MAX_IDS} jobs of this work failed before")
        raise WarehouseError(f"BigQuery: given up after {failures} failed jobs, the last one for {last}")

    def _started(self, start: Callable[[str], Any], job_id: str) -> Any:
        """The job of that id, started now or before; None if it failed before."""
        from google.api_core.exceptions import Conflict

        has_failed = False
        try:
            try:
                job = start(job_id)
            except Conflict:
                # Sometimes a job whose id is taken can't be seen yet: googleapis/python-bigquery issue 2134.
                job = self._client.get_job(
                    job_id,
                    location=self._location,
                    retry=self._limits.retry(also_not_found=True),
                    timeout=REQUEST_TIMEOUT_S,
                )
                has_failed = bool(job.done(retry=self._limits.retry()) and job.error_result)
        except BaseException as error:
            if not _refused(error):
                # Interrupted, or out of time: the request may have arrived all the same.
                self._cancel(job_id)
            raise
        return None if has_failed else job

    def _outcome(self, job: Any, job_id: str, result: dict[str, Any]) -> Any:
        """The job's result, or `_Failed` when it failed in passing; raises any other failure."""
        try:
            return job.result(timeout=self._limits.job_deadline_s, retry=self._limits.retry(), **result)
        except BaseException as error:
            ended = job.error_result
            if not ended:
                # Dagster ends a run by an exception that is none of Exception.  And a job that went on without us could put an
                # old answer over a newer one.
                self._cancel(job_id)
                raise
            reason = _passing_end(ended)
            if not (isinstance(error, Exception) and reason):
                raise
            return _Failed(reason)

    def _cancel(self, job_id: str) -> None:
        try:
            self._client.cancel_job(job_id, location=self._location, retry=None, timeout=CANCEL_TIMEOUT_S)
        except Exception:  # the interruption is what has to be told; a job that never was can't be cancelled
            return


def _passing_end(ended: object) -> str:
    """Why a job failed, if the same work may go well a little later, in words that quote nothing; else empty."""
    if not isinstance(ended, dict):
        return ""
    reason = str(ended.get("reason", ""))
    if any(text in str(ended.get("message", "")) for text in CONFLICTS):
        return CONFLICT
    return reason if reason in PASSING_REASONS else ""


def _refused(error: BaseException) -> bool:
    """Whether the server said that there is no such job."""
    from google.api_core.exceptions import GoogleAPICallError

    return isinstance(error, GoogleAPICallError) and 400 <= int(error.code or 0) < 500


@dataclass(frozen=True, slots=True)
class _Failed:
    reason: str
