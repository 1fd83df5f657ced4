"""Everything that is looked at after each stage: of a hospital's headers, reports and thumbnails, and of a release.

Belongs here: which look is taken at which partition, with which index, profile and reader.  An asset takes all looks and
puts aside what they find; each blocking check takes one of them anew.  Of a hospital, a look that found nothing is not taken
again while nothing that it rests on has changed (`remembered`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.pixels import TextReader
from gradient_assets.deid.pixels.finders import described
from gradient_assets.deid.reasons import Reason
from gradient_assets.deid.verify import IdentifierIndex
from gradient_assets.deid.verify.pictures import KnownWords
from gradient_assets.hospitals import Hospital, Registry
from gradient_assets.quarantine.spared import Spared
from gradient_assets.releases import Release
from gradient_assets.releases.manifest import MANIFEST, rows_of
from gradient_assets.seals import Seals
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    IDENTIFIED_REPORTS,
    MADE_DEIDENTIFIED_METADATA,
    MADE_DEIDENTIFIED_REPORTS,
    MADE_RELEASE,
    PIXEL_TEXT,
    RELEASE_MANIFEST,
    TableSpec,
)
from gradient_assets.verification import objects, rows
from gradient_assets.verification.found import Found
from gradient_assets.verification.known import SOURCES, index_of, name_parts_of
from gradient_assets.verification.looked_at import PREFIX as BEFORE
from gradient_assets.verification.looked_at import LookedAt
from gradient_assets.verification.objects import Looking, Written
from gradient_assets.verification.originals import origins
from gradient_assets.verification.remembered import Asked, Remembered
from gradient_assets.withdrawals.register import Standing, standing
from resources import Resources, SettingsError
from resources.warehouses.warehouse import Warehouse

SHARE = "GRADIENT_THUMBNAILS_READ"

WITHDRAWAL_S = 600.0
"""How long a withdrawal that goes on is waited for: its forty replacements take 10 s each as BigQuery jobs."""

ASK_EVERY_S = 1.0

LOOKS = 5
"""After so many looks with another withdrawal in each, what was found counts."""


@dataclass(frozen=True)
class Verifier:
    """The looks at what one partition holds: a hospital's, or a release's over several hospitals.

    `prefixes`: where a release's objects lie in its bucket, waiting and delivered; empty for a hospital.
    """

    resources: Resources
    partition: str
    secret_name: str
    """Of the key that seals what this verification remembers: the hospital's, or the recipient's."""
    hospitals: Mapping[str, Hospital]
    profiles: Mapping[str, Profile]
    prefixes: tuple[str, ...] = ()
    share: float = 1.0
    """Of the thumbnails, 0 … 1, that are read; objects of a release are all read."""
    reader: TextReader | None = None
    """Who reads pictures: an engine that has cleaned none of them; None if there is none."""
    remembered: Remembered | None = None
    """Verdicts of former runs; None: everything is searched, as for each release."""

    @classmethod
    def of_hospital(cls, resources: Resources, hospital: Hospital, remembered: Remembered | None = None) -> Verifier:
        """Of a hospital's partitions.  Raises `SettingsError` for a share of thumbnails that is none."""
        profile = Profile.of(hospital.profile)
        return cls(
            resources,
            hospital.id,
            hospital.secret_name,
            {hospital.id: hospital},
            {hospital.id: profile},
            share=share_of(resources),
            reader=resources.verifying_reader,
            remembered=remembered,
        )

    @classmethod
    def of_release(cls, resources: Resources, registry: Registry, release: Release) -> Verifier:
        """Of a release, which is searched for the identifiers of every hospital."""
        profiles = {hospital.id: Profile.of(hospital.profile) for hospital in registry}
        hospitals = {hospital.id: hospital for hospital in registry}
        prefixes = (release.prepared, release.delivered)
        reader = resources.verifying_reader
        return cls(resources, release.name, release.secret_name, hospitals, profiles, prefixes, reader=reader)

    @property
    def warehouse(self) -> Warehouse:
        """Where the tables are."""
        return self.resources.warehouse

    @cached_property
    def index(self) -> IdentifierIndex:
        """Every identifier known for the hospitals."""
        return index_of(self.resources, self.hospitals.values())

    @cached_property
    def spared(self) -> Spared:
        """What somebody accepted."""
        if self.prefixes:
            return Spared.of_release(self.resources, self.hospitals.values(), self.partition)
        return Spared.of_hospital(self.resources, self.hospitals[self.partition])

    def _taken(self, found: Found | None, ask: Callable[[Remembered], Asked], take: Callable[[Found], object]) -> Found:
        """A look, added to what others found, unless it is remembered that nothing is there."""
        own, asked = Found(), None if self.remembered is None else ask(self.remembered)
        verdict = asked.verdict if asked is not None else None
        if verdict is not None:
            own = Found(verdict.searched, verdict.accepted, doubtful=Counter(verdict.doubtful), since=verdict.run)
        else:
            take(own)
            if asked is not None and not own.total:
                asked.remember(own.searched, own.accepted, own.doubtful)
        if found is None:
            return own
        found.merge(own)
        return found

    # known identifiers

    def known(self, spec: TableSpec, found: Found | None = None) -> Found:
        """Known identifiers in a table."""

        def take(found: Found) -> None:
            rows.known_in_table(found, self.index, self.warehouse, spec, self.partition, self.spared.in_row)

        return self._taken(found, lambda memory: memory.ask(f"known-{spec.name}", self.spared, (spec, *SOURCES)), take)

    def known_in_thumbnails(self, found: Found | None = None) -> Found:
        """Known identifiers in the keys and bytes of thumbnails and strips."""

        def ask(memory: Remembered) -> Asked:
            tables = (PIXEL_TEXT, *SOURCES)
            return memory.ask("known-thumbnails", self.spared, tables, objects=self.resources.thumbnails)

        return self._taken(found, ask, lambda found: objects.known_in_pngs(found, self.index, self._thumbnails()))

    def known_in_release(self, found: Found | None = None) -> Found:
        """Known identifiers in the keys and elements of a release's objects."""
        found = found or Found()
        objects.known_in_dicoms(found, self.index, self._delivered())
        return found

    # identifiers nobody knows, and the profile

    def patterns(self, spec: TableSpec, found: Found | None = None) -> Found:
        """Patterns of unknown identifiers in `deidentified_metadata` or `deidentified_reports`."""
        hospital, profile = self.hospitals[self.partition], self.profiles[self.partition]
        made = MADE_DEIDENTIFIED_REPORTS if spec is DEIDENTIFIED_REPORTS else MADE_DEIDENTIFIED_METADATA

        def take(found: Found) -> None:
            common = (found, self.warehouse, self.partition, profile, self.spared.in_row)
            if spec is DEIDENTIFIED_REPORTS:
                rows.unknown_in_reports(*common, surrogates=hospital.reports.replacement == "surrogates")
            else:
                rows.unknown_in_headers(*common)

        # Study dates as sent bound those that may stand there; the table of origins says which report had which.
        compared = (spec, made, DICOM_METADATA, IDENTIFIED_REPORTS)
        return self._taken(found, lambda memory: memory.ask(f"patterns-{spec.name}", self.spared, compared), take)

    def profile(self, found: Found | None = None) -> Found:
        """The profile in `deidentified_metadata`."""

        def take(found: Found) -> None:
            profile = self.profiles[self.partition]
            rows.profile_of_headers(found, self.warehouse, self.partition, profile, self.spared.in_row)

        compared = (DEIDENTIFIED_METADATA, MADE_DEIDENTIFIED_METADATA, DICOM_METADATA)
        return self._taken(found, lambda memory: memory.ask("profile", self.spared, compared), take)

    def patterns_of_release(self, found: Found | None = None) -> Found:
        """Patterns of unknown identifiers in the texts of a release's files."""
        found = found or Found()
        objects.unknown_in_dicoms(found, self._delivered(), self._hospital_of(), self.profiles)
        return found

    def _hospital_of(self) -> dict[str, str]:
        return {row["work_token"]: row["hospital_id"] for row in origins(self.warehouse, MADE_RELEASE, self.partition)}

    def profile_of_release(self, found: Found | None = None) -> Found:
        """The profile in a release's files."""
        found = found or Found()
        sources = {
            row["work_token"]: (row["hospital_id"], row["object_key"])
            for row in origins(self.warehouse, MADE_RELEASE, self.partition)
        }
        objects.profile_of_dicoms(found, self.warehouse, self._delivered(), sources, self.profiles)
        return found

    # pixels

    def text_in_thumbnails(self, found: Found | None = None) -> Found:
        """Text in a share of the thumbnails, always the same ones."""
        if (reader := self.reader) is None:
            return found or Found()

        def ask(memory: Remembered) -> Asked:
            how = (described(reader), str(self.share))
            tables = (PIXEL_TEXT, *SOURCES)
            return memory.ask("text-thumbnails", self.spared, tables, objects=self.resources.thumbnails, more=how)

        def take(found: Found) -> None:
            marks = _keeps_marks(self.profiles[self.partition])
            if (looking := self._looking(lambda one: marks)) is not None:
                drawn = (one for one in self._thumbnails() if is_drawn(one.token, self.share))
                objects.text_in_objects(found, drawn, looking, looking.png)

        return self._taken(found, ask, take)

    def text_in_release(self, found: Found | None = None) -> Found:
        """Text in every object of a release."""
        found = found or Found()
        hospital_of = self._hospital_of()
        keeping = {name for name, profile in self.profiles.items() if _keeps_marks(profile)}
        if (looking := self._looking(lambda one: hospital_of.get(one.token) in keeping)) is not None:
            objects.text_in_objects(found, self._delivered(), looking, looking.dicom)
        return found

    def _looking(self, marks_may_stay: Callable[[Written], bool]) -> Looking | None:
        if self.reader is None:
            return None
        seals = Seals.of(self.resources, self.secret_name, BEFORE)
        before = LookedAt(self.resources.release_requests, seals, self.partition, described(self.reader))
        words = KnownWords(self.index, name_parts_of(self.resources, self.hospitals.values()))
        return Looking(self.reader, words, before, marks_may_stay)

    def undisturbed(self, look: Callable[[Verifier], Found], wait_s: float = WITHDRAWAL_S) -> Found:
        """A look; one that found something while patients were being withdrawn is taken again when they are gone.

        Half a withdrawal looks like a breach: a cleaned header whose original is gone.  One that does not end within `wait_s`
        seconds was killed, and what was found counts.
        """
        until = time.monotonic() + wait_s
        looker = self  # what it has read serves whoever judges the findings; a further look reads all anew
        for _ in range(LOOKS):
            before = self._withdrawals()
            found = look(looker)
            looker = replace(self)
            if not found.total or (self._withdrawals() == before and not _at_work(before)):
                break
            while _at_work(self._withdrawals()):
                if time.monotonic() >= until:
                    return found
                time.sleep(ASK_EVERY_S)
        return found

    def _withdrawals(self) -> list[Standing]:
        return [standing(self.resources, hospital_id) for hospital_id in self.hospitals]

    # everything at once, for the asset

    def to_isolate(self, found: Found) -> dict[str, str]:
        """Work token → what was found, but for findings that somebody has accepted exactly so."""
        reason = Reason.FOUND_BY_VERIFICATION.value
        return {
            token: detail for token, detail in found.details().items() if not self.spared.has(token, reason, detail)
        }

    def _at_one_time(self) -> Verifier:
        """For looks that follow each other with nothing written in between."""
        return self if self.remembered is None else replace(self, remembered=self.remembered.at_one_time())

    def all_in_headers(self) -> Found:
        """All looks at `deidentified_metadata`."""
        now = self._at_one_time()
        return now.profile(now.patterns(DEIDENTIFIED_METADATA, now.known(DEIDENTIFIED_METADATA)))

    def all_in_reports(self) -> Found:
        """All looks at `deidentified_reports`."""
        now = self._at_one_time()
        return now.patterns(DEIDENTIFIED_REPORTS, now.known(DEIDENTIFIED_REPORTS))

    def all_in_thumbnails(self) -> Found:
        """All looks at thumbnails and `pixel_text`."""
        now = self._at_one_time()
        return now.text_in_thumbnails(now.known_in_thumbnails(now.known(PIXEL_TEXT)))

    def all_in_release(self) -> Found:
        """All looks at a release."""
        found = self.patterns_of_release(self.known_in_release(self.known(RELEASE_MANIFEST)))
        return self.text_in_release(self.profile_of_release(found))

    def _thumbnails(self) -> Iterator[Written]:
        tokens: dict[str, str] = {}
        columns = ("work_token", "thumbnail_key", "strip_key")
        for batch in self.warehouse.scan(PIXEL_TEXT, self.partition, columns=columns):
            for row in batch.to_pylist():
                tokens |= {
                    key.partition("/")[2]: row["work_token"] for key in (row["thumbnail_key"], row["strip_key"]) if key
                }

        def spare(name: str, kinds: list[str]) -> frozenset[str]:
            return self.spared.in_row({"work_token": tokens.get(name, "")}, kinds)

        return objects.objects_under(self.resources.thumbnails, self.partition, tokens, spare, ending="")

    def _delivered(self) -> Iterator[Written]:
        tokens: dict[str, str] = {}
        for batch in self.warehouse.scan(RELEASE_MANIFEST, self.partition, columns=("work_token", "object_key")):
            tokens |= dict(zip(batch["object_key"].to_pylist(), batch["work_token"].to_pylist(), strict=True))

        def spare(name: str, kinds: list[str]) -> frozenset[str]:
            return self.spared.in_object(name, kinds)

        for prefix in self.prefixes:
            gone = self._handed_out(prefix) - tokens.keys()
            written = objects.objects_under(self.resources.releases, prefix, tokens, spare, ending=".dcm")
            yield from (one for one in written if one.name not in gone)

    def _handed_out(self, prefix: str) -> set[str]:
        """Objects of the delivery that stands there.  One whose row is gone since was looked at when it had one, is searched
        for known identifiers still, and goes with the next delivery."""
        place = f"{prefix}/{MANIFEST}"
        bucket = self.resources.releases
        return {row["object_key"] for row in rows_of(bucket.get(place))} if bucket.exists(place) else set()


def _keeps_marks(profile: Profile) -> bool:
    return profile.burned_in_text == "keep_marks"


def _at_work(withdrawals: Iterable[Standing]) -> bool:
    return any(one.at_work for one in withdrawals)


def share_of(resources: Resources) -> float:
    """The share of thumbnails that is read, 0 … 1.  Raises `SettingsError` for anything else."""
    written = resources.settings[SHARE]
    try:
        share = float(written)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise SettingsError(f"{SHARE} is {written!r}; expected a share from 0 to 1.")
    return share


def is_drawn(token: str, share: float) -> bool:
    """Whether an object belongs to the share that is read.  Tokens are keyed: nobody can choose to be left out."""
    return share >= 1 or not token or int(token[:8], 16) < share * 2**32
