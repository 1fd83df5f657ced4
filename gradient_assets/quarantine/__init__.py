"""Quarantine as a work list: what was refused, how it stands, and what people decide about it.

Reading order: `decisions` (the log, and what of it is in force), `listing` (refusals of all stages with their status),
`deciding` (retry, accept-risk, drop), `spared` (what the blocking checks leave out because somebody accepted it).

Belongs here: everything that people do with refusals.  What a reason code means, and which may be accepted, is
`deid.reasons`' table; the stages apply the decisions to their work lists (`pipelines.stage`), the command is `cli.quarantine`.
Objects stay in the hospital's bucket; nothing here reads one.
"""

from gradient_assets.quarantine.deciding import acceptable, chosen, decide, outdated, write_status
from gradient_assets.quarantine.decisions import Decided, Decision, Decisions, QuarantineError, decisions_of
from gradient_assets.quarantine.listing import Refusal, Today, Wanted, accepted_and_passed, by_status, counts, refusals
from gradient_assets.quarantine.spared import Spared

__all__ = [
    "Decided",
    "Decision",
    "Decisions",
    "QuarantineError",
    "Refusal",
    "Spared",
    "Today",
    "Wanted",
    "acceptable",
    "accepted_and_passed",
    "by_status",
    "chosen",
    "counts",
    "decide",
    "decisions_of",
    "outdated",
    "refusals",
    "write_status",
]
