"""What every run of a pipeline has in common: silence, waiting for its end, cancelling, and its counters.

Belongs here: what a job's result object can be asked on any runner.  Errors: a failed pipeline's text may quote an element (a
row, a key), so `PipelineFailed` carries its kind only.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from resources.errors import holding_back

FIRST_POLL_S = 0.2
POLL_GROWTH = 1.15
"""A stage over a few new objects takes 1 s on Prism: it is asked for early, and less and less often.  With 1.5 the
end of a job was noticed up to a third of its own time late, and a hospital is five jobs."""

UNANSWERED = 3
"""So many questions in a row may go unanswered: a job of hours is not given up for one lost connection."""


class PipelineFailed(Exception):  # noqa: N818  the name says what happened
    """A pipeline did not end well.  The message holds the runner, the state and the job id, never an element."""


def silence_beam() -> None:
    """Beam logs nothing in this process any more: when a DoFn raises, it logs the error's text, which may quote an element.

    Never undone: its threads outlive their pipeline, and two pipelines may run at a time.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL + 1)


def wait(result: Any, what: str, say: Callable[[str], None], poll_s: float) -> None:
    """Wait until the job has ended; cancel it when this wait is interrupted.  Raises `PipelineFailed`."""
    from apache_beam.runners.runner import PipelineState

    last = ""
    failure = None
    pause_s = min(FIRST_POLL_S, poll_s)
    try:
        while True:
            state = _state(result, poll_s)
            if state != last:
                say(f"{what}: {state.lower()}")
                last = state
            if PipelineState.is_terminal(state):
                break
            time.sleep(pause_s)
            pause_s = min(pause_s * POLL_GROWTH, poll_s)
    except Exception as error:
        cancel(result)
        failure = holding_back(PipelineFailed(f"{what}: {kind_of(error)}"), error)
    except BaseException:
        # Dagster ends a run by an exception that is none of Exception; a job nobody waits for would go on and cost.
        cancel(result)
        raise
    if failure is not None:
        raise failure
    if last != PipelineState.DONE:
        raise PipelineFailed(f"{what}: ended as {last.lower()}")


def _state(result: Any, poll_s: float) -> str:
    for _ in range(UNANSWERED - 1):
        try:
            return str(result.state)
        except Exception:  # the last question's error is told
            time.sleep(poll_s)
    return str(result.state)


def cancel(result: Any) -> None:
    """Ask for the job's end; raises nothing that is an error."""
    try:
        result.cancel()
    except Exception:  # the interruption is what has to be told; a job that ended meanwhile can't be cancelled
        return


def counters(result: Any) -> dict[str, int]:
    """Committed counters by name; attempted ones where the runner commits none."""
    found: dict[str, int] = {}
    metrics = result.metrics()
    if metrics is None:
        return found
    for counter in metrics.query()["counters"]:
        value = counter.committed if counter.committed is not None else counter.attempted
        found[counter.key.metric.name] = found.get(counter.key.metric.name, 0) + int(value or 0)
    return dict(sorted(found.items()))


def kind_of(error: BaseException) -> str:
    """The type's name: Beam adds the worker's whole traceback, with the element, to an error's text."""
    return type(error).__name__


def job_name(name: str) -> str:
    """A name that every runner accepts: lower case letters, digits and '-', beginning with a letter, 63 at most."""
    cleaned = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:60].rstrip("-")
    return cleaned if re.match(r"[a-z]", cleaned) else f"g-{cleaned}"
