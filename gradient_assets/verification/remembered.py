"""Verdicts of former runs: what was searched and found clean is taken as clean again while nothing of it has changed.

Belongs here: what a verdict rests on, and remembering it.  A verdict is a function of the content that was written, of what it
was compared with, of the registry's entry and the profile, of accepted findings, of the code and its libraries.  All of that,
read anew, is one keyed token; a verdict counts for its own token alone.  So an older file that somebody puts back says what
is true of that older content, and of no other.  Kept in the identified zone under a seal: counts and tokens, no content.
What was not clean, what can't be opened, and what changed while it was searched is searched again.

Not here: pictures in which nothing was read (`looked_at`), and releases, which are searched anew each time.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal

import gradient_assets
import resources
from gradient_assets import LOADED_AT
from gradient_assets.deid.headers import Profile
from gradient_assets.hospitals import Hospital
from gradient_assets.quarantine.spared import Spared
from gradient_assets.seals import SealBroken, Seals
from gradient_assets.tables import TableSpec
from resources import Resources
from resources.buckets.entity_tags import condition
from resources.buckets.object_store import Bucket, ObjectVanished

PREFIX = "_verdicts"
PACKAGES = (gradient_assets, resources)
"""Their files are what a verdict rests on: all of them, so that no list of what decides can be out of date."""
Looker = Literal["stage", "check"]
"""Whose verdicts they are.  A check never takes over what the stage before it found: they look independently."""
_NAME = re.compile(r"[a-z_-]{1,80}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A look that found nothing: how much it looked at, and the run that did."""

    searched: int
    accepted: int
    doubtful: Mapping[str, int]
    run: str

    @classmethod
    def read(cls, content: Mapping[str, object]) -> Verdict:
        """From a file's content.  Raises `ValueError`, `TypeError` and `KeyError` for anything else."""
        searched, accepted, doubtful, run = (content[name] for name in ("searched", "accepted", "doubtful", "run"))
        counts = [searched, accepted, *dict(doubtful).values()]  # type: ignore[call-overload]  # raises what is caught
        if not all(type(count) is int and count >= 0 for count in counts) or not isinstance(run, str):
            raise ValueError("no verdict")
        return cls(searched, accepted, dict(doubtful), run)  # type: ignore[arg-type,call-overload]  # looked at above


@dataclass(frozen=True)
class Asked:
    """One look: what is remembered of it, and how to remember it."""

    place: str
    token: Callable[[], str]
    """What it rests on now."""
    asked_with: str
    bucket: Bucket
    seals: Seals
    run_id: str

    @property
    def verdict(self) -> Verdict | None:
        """What was found when everything was as it is now; None: nobody knows."""
        try:
            content = self.seals.opened(self.place, self.bucket.get(self.place))
            return Verdict.read(content) if content["token"] == self.asked_with else None
        except (ObjectVanished, SealBroken, KeyError, TypeError, ValueError):
            return None

    def remember(self, searched: int, accepted: int, doubtful: Mapping[str, int]) -> None:
        """Nothing was found.  It is forgotten again if something changed while it was searched."""
        if self.token() == self.asked_with:
            verdict = Verdict(searched, accepted, dict(doubtful), self.run_id)
            content = {"token": self.asked_with, **asdict(verdict)}
            self.bucket.put(self.place, self.seals.closed(self.place, content))


@dataclass(frozen=True)
class Remembered:
    """The verdicts of one hospital, for one who looks."""

    resources: Resources
    hospital: Hospital
    looker: Looker
    run_id: str
    seals: Seals = field(repr=False)
    digests: dict[str, str] | None = field(default=None, repr=False)
    """Of what was read for an earlier question; None: it is read anew for each."""

    @classmethod
    def of(cls, opened: Resources, hospital: Hospital, looker: Looker, run_id: str) -> Remembered:
        """Raises what the vault raises."""
        return cls(opened, hospital, looker, run_id, Seals.of(opened, hospital.secret_name, PREFIX))

    def at_one_time(self) -> Remembered:
        """For several questions at once: each table and object is read once for all of them.  Never asked after a change."""
        return replace(self, digests={})

    def ask(
        self,
        look: str,
        spared: Spared,
        tables: Iterable[TableSpec],
        *,
        objects: Bucket | None = None,
        more: Iterable[str] = (),
    ) -> Asked:
        """What is remembered of a look.  `tables` and `objects`: all that is read for it, what it is compared with included;
        of the objects those of the hospital.  Raises what the stores and the warehouse raise."""
        if not _NAME.fullmatch(look):
            raise ValueError("the name of a look is made of letters and hyphens")
        place, read, others = f"{PREFIX}/{self.hospital.id}/{self.looker}/{look}.json", tuple(tables), tuple(more)

        def token(digests: dict[str, str]) -> str:
            warehouse, hospital = self.resources.warehouse, self.hospital
            for spec in read:
                if spec.full_name not in digests:
                    digests[spec.full_name] = warehouse.content_digest(spec, hospital.id)
            if objects is not None and "objects" not in digests:
                digests["objects"] = objects_digest(objects, hospital.id)
            rests_on = {
                "code": code_digest(),
                "hospital": repr(hospital),
                "profile": Profile.of(hospital.profile).digest,
                "accepted": _as_text(spared),
                "tables": {spec.full_name: digests[spec.full_name] for spec in read},
                "objects": "" if objects is None else digests["objects"],
                "more": others,
            }
            return self.seals.sealers[0].token("verdict", place, json.dumps(rests_on, sort_keys=True))

        asked_with = token({} if self.digests is None else self.digests)
        return Asked(place, lambda: token({}), asked_with, self.resources.release_requests, self.seals, self.run_id)


def _as_text(spared: Spared) -> str:
    numbers = (spared.tokens, spared.instances, spared.reports, spared.objects)
    accepted = [{name: dict(found) for name, found in by_name.items()} for by_name in numbers]
    findings = {
        token: {kind: list(found) for kind, found in by_kind.items()} for token, by_kind in spared.findings.items()
    }
    return json.dumps([*accepted, findings], sort_keys=True)


@cache
def code_digest() -> str:
    """SHA-256 of every file of this project's packages, with the versions of Python and of all that is installed.

    By chance where a file was changed since the process loaded it: nobody can name the code that runs then.
    """
    digest = hashlib.sha256()
    for module in PACKAGES:
        folder = Path(str(module.__file__)).parent
        for path in sorted(one for one in folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts):
            if path.stat().st_ctime > LOADED_AT:
                return secrets.token_hex()
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder.parent)}\x1f{len(content)}\x1f".encode() + content)
    libraries = sorted({f"{one.name} {one.version}" for one in metadata.distributions()})
    versions = (platform.python_implementation(), platform.python_version(), unicodedata.unidata_version)
    digest.update("\n".join((*versions, *libraries)).encode())
    return digest.hexdigest()


def objects_digest(bucket: Bucket, hospital_id: str) -> str:
    """SHA-256 of the key and content of each object of a hospital.

    A store that gives an entity tag with each content is asked for its listing alone.  A folder's tags are times and sizes,
    which whoever changes a file can put back: its files are read.
    """
    digest = hashlib.sha256()
    for stat in bucket.listing(f"{hospital_id}/"):
        tagged = bucket.address.scheme != "file" and stat.etag and condition(stat.etag)
        content = stat.etag if tagged else hashlib.sha256(bucket.get(stat.key)).hexdigest()
        digest.update(f"{stat.key}\x1f{stat.size}\x1f{content}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
