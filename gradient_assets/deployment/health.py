"""Whether the platform's processes are fit for work, as probes and people ask.

Belongs here: one question for each kind of process, and its answer in a line.  That a set-up is right is
`gradient_assets.cli.doctor`'s business.  No answer holds what a server said: an error's text may quote a record.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

TIMEOUT_S = 5.0
"""For one question; a probe's own limit has to be longer."""

SERVICE = "DagsterApi"
"""The name under which a code location answers gRPC's health protocol; Kubernetes' probe asks for it as well."""

_STORAGE = "DAGSTER_POSTGRES_"


@dataclass(frozen=True)
class Health:
    """The answer for one process."""

    what: str
    healthy: bool
    found: str


def code_location(address: str, timeout_s: float = TIMEOUT_S) -> Health:
    """Ask a code location (`host:port`) by gRPC's health protocol."""
    import grpc  # type: ignore[import-untyped]  # ships no types
    from grpc_health.v1.health_pb2 import (  # type: ignore[import-untyped]  # ships no types
        HealthCheckRequest,
        HealthCheckResponse,
    )
    from grpc_health.v1.health_pb2_grpc import HealthStub  # type: ignore[import-untyped]  # ships no types

    try:
        with grpc.insecure_channel(address) as channel:
            answer = HealthStub(channel).Check(HealthCheckRequest(service=SERVICE), timeout=timeout_s)
    except grpc.RpcError as error:
        return Health("code location", False, error.code().name.lower())
    serving = answer.status == HealthCheckResponse.SERVING
    return Health("code location", serving, HealthCheckResponse.ServingStatus.Name(answer.status).lower())


def web_server(address: str, timeout_s: float = TIMEOUT_S) -> Health:
    """Ask a web server (`http://host:port`) for its `/server_info`."""
    if not address.startswith(("http://", "https://")):
        return Health("web server", False, "the address has to begin with http:// or https://")
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/server_info", timeout=timeout_s) as answer:  # noqa: S310  http only
            version = json.load(answer)["dagster_version"]
    except urllib.error.HTTPError as error:
        return Health("web server", False, f"status {error.code}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Health("web server", False, type(error).__name__)
    return Health("web server", True, f"Dagster {version}")


def daemon() -> Health:
    """Look for the heartbeats of the daemon's parts in Dagster's storage, as `DAGSTER_HOME` names it."""
    if wrong := storage_variables_wrong(os.environ):
        return Health("daemon", False, wrong)
    from dagster._daemon.controller import get_daemon_statuses

    with dg.DagsterInstance.get() as instance:
        needed = instance.get_required_daemon_types()
        # A part that met an error is alive; its error is shown on the page.
        statuses = get_daemon_statuses(instance, needed, ignore_errors=True)
    still = sorted(kind.lower() for kind, status in statuses.items() if not status.healthy)
    return Health(
        "daemon", not still, f"no heartbeat of {', '.join(still)}" if still else f"{len(statuses)} heartbeats"
    )


def storage_variables_wrong(environ: Mapping[str, str]) -> str:
    """What is wrong with the variables that name Dagster's storage; empty when nothing is seen.

    PostgreSQL's image takes a password up to its first line break, Dagster takes all of it: each start ends in "password
    authentication failed", which says nothing of the break.
    """
    broken = sorted(name for name in environ if name.startswith(_STORAGE) and "\n" in environ[name])
    return f"{', '.join(broken)} holds a line break" if broken else ""


def storage() -> Health:
    """Read from Dagster's storage, as `DAGSTER_HOME` names it."""
    if wrong := storage_variables_wrong(os.environ):
        return Health("storage", False, wrong)
    with dg.DagsterInstance.get() as instance:
        instance.get_runs_count()
    return Health("storage", True, "answers")


def asked(questions: Iterator[tuple[str, Callable[[], Health]]]) -> Iterator[Health]:
    """Each answer; a question that fails is an answer too."""
    for what, question in questions:
        try:
            yield question()
        except Exception as error:
            yield Health(what, False, type(error).__name__)
