"""The one way out of the platform, and the way back.

Belongs here: the gate (`require_approved`), approving, moving what was approved to the recipient's folder, and taking it
back.  Nothing else moves an object there.  Every object is read and compared with its digest before the first one moves, and
again where it has arrived.  Where records lie in a folder no stage commits meanwhile; elsewhere a release that was made again
at the same time is found by the second reading, and goes from the recipient's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Any

from gradient_assets.hospitals import ReleaseRules
from gradient_assets.integrity.recorded import alone
from gradient_assets.releases.manifest import (
    MANIFEST,
    REPORT,
    REVOKED,
    as_csv,
    delivered_rows,
    digest_of,
    manifest_rows,
    rows_of,
)
from gradient_assets.releases.requests import Release, ReleaseError
from gradient_assets.releases.states import (
    LogError,
    Overtaken,
    ReleaseLog,
    Revocation,
    Standing,
    account_name,
    checked_name,
    is_author,
)
from gradient_assets.releases.verification import outcomes_of
from gradient_assets.tables import MADE_RELEASE, RELEASE_FACTS, RELEASE_MANIFEST
from resources.buckets.object_store import ObjectVanished
from resources.buckets.staging import fresh_staging
from resources.environment import Resources
from resources.vault_contract import VaultError

RACES = 5
"""How often a revocation is written again because another change came first; more than that is no accident."""


@dataclass(frozen=True)
class Gate:
    """One release at the gate."""

    resources: Resources
    rules: ReleaseRules
    release: Release

    @property
    def log(self) -> ReleaseLog:
        """What became of it so far."""
        return ReleaseLog.of(self.resources, self.release)

    def require_not_revoked(self) -> Standing:
        """The standing of a release that may still be made.  Raises `ReleaseError`."""
        standing = self.log.standing()
        if standing.revoked:
            raise ReleaseError(f"Release '{self.release.name}' was revoked. Ask for another one under another name.")
        return standing

    def ask(self, by: str) -> None:
        """Log who asks for the release, each person once.  Raises `ReleaseError`."""
        with self._alone():
            if not is_author(by, self.require_not_revoked().authors):
                self.log.append("draft", by)

    def verify(self, by: str, manifest: bytes, report: bytes) -> Standing:
        """Log that this may be approved, and lay the page where approvers find it.

        A page that was approved, or went out, for this very manifest stays as it was read; any other one is replaced.
        """
        with self._alone():
            return self._verify(by, manifest, report)

    def _verify(self, by: str, manifest: bytes, report: bytes) -> Standing:
        standing = self.require_not_revoked()
        now, page = digest_of(manifest), digest_of(report)
        is_said = bool(standing.approvals) or standing.is_current_delivered
        if standing.manifest == now and is_said and self._has_report(standing):
            return standing
        waiting = self.resources.releases.under(self.release.pages)
        waiting.put(MANIFEST, manifest)
        waiting.put(REPORT, report)
        try:
            if (standing.manifest, standing.report) != (now, page):
                standing = self.log.append("verified", by, manifest=now, report=page)
        finally:
            # A closed log takes no entry: the page of a release that was revoked before it was laid must not stay then.
            self.give_up_if_revoked()
        return standing

    def approve(self, by: str, note: str = "", digest: str = "") -> Standing:
        """Say in somebody's name that this manifest and this report may leave.  `digest`: how the one that was read begins.

        Raises `ReleaseError`: not verified, made again since, a check lacking, one's own, said before, or not needed.
        """
        standing, needed, name = self.require_not_revoked(), self.rules.approvals, self.release.name
        by = checked_name(by)
        state = standing.state(needed)
        if state == "draft":
            raise ReleaseError(
                f"Release '{name}' is not verified yet. Run `gradient release` again and read its report."
            )
        if not needed:
            raise ReleaseError("The registry asks for no approval (`releases.approvals: 0`).")
        if state in ("approved", "delivered"):
            raise ReleaseError(f"Release '{name}' is {state} already, by {', '.join(standing.approved_by)}.")
        self._require_unchanged(standing)
        self._require_checked(standing)
        if not standing.manifest.startswith(digest.lower()):
            raise ReleaseError(
                f"The report that was read has another digest: release '{name}' was made again. Read it anew."
            )
        if is_author(by, standing.authors):
            raise ReleaseError(f"'{by}' asked for release '{name}' and can't approve it.")
        if is_author(by, (entry.by for entry in standing.approvals)):
            raise ReleaseError(f"'{by}' has approved release '{name}' already. Another person has to.")
        self._require_may_approve(by, account_name(), standing)
        return self.log.append("approval", by, note=note, manifest=standing.manifest, report=standing.report)

    def require_approved(self) -> Standing:
        """The standing of a release that may leave.  Raises `ReleaseError` with what is missing."""
        standing, needed, name = self.require_not_revoked(), self.rules.approvals, self.release.name
        state = standing.state(needed)
        if state == "draft":
            raise ReleaseError(f"Release '{name}' is not verified. Nothing was delivered.")
        if state == "verified":
            raise ReleaseError(
                f"Release '{name}' has {len(standing.approved_by)} of {needed} approvals. Nothing was delivered. "
                f"`gradient approve {name} --by NAME` after reading its report."
            )
        for number, one in enumerate(standing.approvals):
            self._require_may_approve(one.by, one.account, replace(standing, approvals=standing.approvals[:number]))
        self._require_unchanged(standing)
        self._require_checked(standing)
        return standing

    def deliver(self, by: str) -> Standing:
        """Move what was approved to the recipient; the same again after a broken run.  Raises `ReleaseError`."""
        release, bucket = self.release, self.resources.releases
        with self._alone():
            standing = self.require_approved()
            rows, report = self._rows(standing), self._report(standing)
            self._move(rows)
            bucket.put(f"{release.delivered}/{MANIFEST}", as_csv(rows))
            bucket.put(f"{release.delivered}/{REPORT}", report)
            self.give_up_if_revoked(rows)
            if not standing.is_current_delivered:
                standing = self.log.append("delivered", by, manifest=standing.manifest, report=standing.report)
            self._clear()
        return standing

    def revoke(self, by: str, reason: str) -> tuple[Standing, int]:
        """Take a release back: delete what lies with the recipient under our control, and list what they must delete.

        Returns the standing and the number of objects in that list.  That it is revoked is written down first: from then on
        nothing is delivered, whatever is killed when.  The same again finishes a broken one.  A log that can't be relied on,
        or a key that is gone, holds nothing up: the standing has no entries then.  Raises `ReleaseError` without a reason.
        """
        revocation = Revocation(self.resources.release_requests, self.release.name)
        try:
            standing = self.log.standing()
        except (LogError, VaultError):
            standing = None
        if not (revocation.exists() or (standing and standing.revoked)):
            if not reason.strip():
                raise ReleaseError("A release is revoked for a reason. Say which: --reason.")
            if standing and not standing.entries:
                raise ReleaseError(f"Release '{self.release.name}' was never made. There is nothing to revoke.")
        revocation.write_down(by, reason)
        listed = self._take_back()
        if standing:
            standing = self._revoked(by, reason)
        return standing or Standing(revoked=True), listed

    def give_up_if_revoked(self, moved: Iterable[dict[str, str]] = ()) -> None:
        """Delete what was written of a release that was revoked meanwhile, `moved` among it, and raise `ReleaseError`."""
        # A revocation is written down before anything is deleted: either it is seen here, after the last object was written,
        # or the deleting sees that object.
        if Revocation(self.resources.release_requests, self.release.name).exists():
            self._take_back(moved)
            raise ReleaseError(
                f"Release '{self.release.name}' was revoked meanwhile. What was written of it is deleted."
            )

    def _revoked(self, by: str, reason: str) -> Standing:
        """The log with its last entry; a change that came in between is let through first."""
        for _ in range(RACES):
            standing = self.log.standing()
            if standing.is_closed or not standing.entries:
                return standing
            with suppress(Overtaken):
                return self.log.append("revoked", checked_name(by), note=reason)
        return self.log.standing()

    def _take_back(self, moved: Iterable[dict[str, str]] = ()) -> int:
        """Delete everything of the release; returns how many objects the recipient is told to delete, `moved` among them."""
        bucket, release, warehouse = self.resources.releases, self.release, self.resources.warehouse
        left = f"{release.delivered}/{REVOKED}"
        before = rows_of(bucket.get(left)) if bucket.exists(left) else []
        listed = {row["object_key"]: row for row in (*before, *self._handed_out(), *moved)}
        if len(listed) > len(before):
            bucket.put(left, as_csv(listed[key] for key in sorted(listed)))
        for folder in (f"{release.delivered}/dicom", release.prepared, release.pages):
            bucket.delete([stat.key for stat in bucket.listing(f"{folder}/")])
        for spec in (RELEASE_MANIFEST, RELEASE_FACTS):
            warehouse.drop(spec, release.name)
        bucket.delete([f"{release.delivered}/{name}" for name in (MANIFEST, REPORT)])
        return len(listed)

    def _require_may_approve(self, by: str, account: str, before: Standing) -> None:
        """Raise `ReleaseError` unless the registry lets this person approve from this account, after those before."""
        rules, name = self.rules, self.release.name
        if rules.approvers and not is_author(by, rules.approvers):
            raise ReleaseError(
                f"'{by}' is not among those who may approve (`releases.approvers` of the registry). Release '{name}' is not "
                "approved by them."
            )
        said = (entry for entry in before.entries if entry.change == "draft")
        others = {entry.account for entry in (*said, *before.approvals)} | {"unknown"}
        if rules.distinct_accounts and account in others:
            raise ReleaseError(
                f"'{by}' approves release '{name}' from an account that nobody knows, or that asked for it or approved it "
                "under another name (`releases.distinct_accounts` of the registry). Use an account of one's own."
            )

    def _alone(self) -> AbstractContextManager[None]:
        """While it lasts no stage commits the release, and nobody else is in here: two that say the same say it once."""
        return alone(self.resources.partition_records, MADE_RELEASE, self.release.name)

    def _require_unchanged(self, standing: Standing) -> None:
        self._rows(standing)
        self._report(standing)

    def _require_checked(self, standing: Standing) -> None:
        """Raise `ReleaseError` unless every blocking check has passed over this very manifest and page."""
        name, rules = self.release.name, self.rules
        outcomes_of(self.resources, name, standing.manifest, report=standing.report, unread_pixels=rules.unread_pixels)

    def _rows(self, standing: Standing) -> list[dict[str, Any]]:
        """The rows of the manifest that was verified.  Raises `ReleaseError` if the table holds others."""
        rows = manifest_rows(self.resources.warehouse, self.release.name)
        if digest_of(as_csv(rows)) != standing.manifest:
            raise ReleaseError(
                f"Release '{self.release.name}' was made again after it was verified. Run `gradient release` again and read "
                "its report."
            )
        return rows

    def _has_report(self, standing: Standing) -> bool:
        try:
            self._report(standing)
        except ReleaseError:
            return False
        return True

    def _report(self, standing: Standing) -> bytes:
        for folder in (self.release.pages, self.release.delivered):
            try:
                content = self.resources.releases.get(f"{folder}/{REPORT}")
            except ObjectVanished:
                continue
            if digest_of(content) == standing.report:
                return content
        raise ReleaseError(
            f"The report of release '{self.release.name}' is not the one that was verified. Run `gradient release` again."
        )

    def _move(self, rows: list[dict[str, Any]]) -> None:
        """Bring the recipient's folder to these objects.

        Raises `ReleaseError` if one of them is not what its row names, before the first moves or where it has arrived: then
        none of another content stays there.
        """
        bucket, release, place = self.resources.releases, self.release, f"{self.release.delivered}/dicom"
        digests = {row["object_key"]: row["sha256"] for row in rows}
        moved: list[str] = []
        waiting, is_whole = self._waiting(digests), False
        try:
            with suppress(ObjectVanished):  # a revocation, a withdrawal, or a run that made the release again
                for key in waiting:
                    moved.append(key)
                    bucket.move(f"{release.prepared}/{key}", f"{release.delivered}/dicom/{key}")
                is_whole = True
        finally:
            # After a move that broke off, what was not moved may lie there of an earlier delivery.
            arrived = digests if is_whole else moved
            unlike = [f"{place}/{key}" for key in arrived if self._digest(f"{place}/{key}") != digests[key]]
            bucket.delete(unlike)
        self.give_up_if_revoked(rows)
        if unlike or not is_whole:
            raise ReleaseError(
                f"Release '{release.name}' was changed while it was delivered. {len(unlike)} objects are not those that were "
                "approved, and do not lie with the recipient. It is not delivered; run `gradient release` again and read its "
                "report."
            )
        there = [stat.key for stat in bucket.listing(f"{place}/")]
        bucket.delete([key for key in there if key.removeprefix(f"{place}/") not in digests])

    def _waiting(self, digests: Mapping[str, str]) -> list[str]:
        """Keys that have to move, after every object of the manifest was read and found to be the one it names."""
        bucket, release = self.resources.releases, self.release
        waiting, wrong = [], 0
        for key, digest in sorted(digests.items()):
            if self._digest(f"{release.prepared}/{key}") == digest:
                waiting.append(key)
            elif self._digest(f"{release.delivered}/dicom/{key}") != digest:
                wrong += 1
        if wrong:
            raise ReleaseError(
                f"{wrong} objects of release '{release.name}' are missing, or are not those of its manifest. Nothing was "
                f"delivered. {bucket.address.scheme} storage changed by somebody else; run `gradient release` again."
            )
        return waiting

    def _clear(self) -> None:
        """Delete what waited for this delivery, and what dead runs left; what a run that goes on has staged is its own."""
        bucket, release = self.resources.releases, self.release
        for folder in (release.prepared, release.pages):
            keys = (stat.key for stat in bucket.listing(f"{folder}/"))
            bucket.delete([key for key in keys if not key.startswith(f"{release.staged}/")])
        with fresh_staging(bucket.under(release.staged), "deliver"):
            pass

    def _digest(self, key: str) -> str:
        try:
            return digest_of(self.resources.releases.get(key))
        except ObjectVanished:
            return ""

    def _handed_out(self) -> list[dict[str, str]]:
        """Rows of everything that lies, or lay, with the recipient; a delivery that was killed has no manifest yet."""
        bucket, release = self.resources.releases, self.release
        rows = {row["object_key"]: row for row in delivered_rows(bucket, release)}
        prefix = f"{release.delivered}/dicom/"
        there = {stat.key.removeprefix(prefix) for stat in bucket.listing(prefix)}
        for row in manifest_rows(self.resources.warehouse, release.name):
            if row["object_key"] in there:
                rows.setdefault(row["object_key"], row)
        return [rows[key] for key in sorted(rows)]
