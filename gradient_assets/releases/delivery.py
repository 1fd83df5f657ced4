"""The one way out of the platform, and the way back.

Belongs here: the gate (`require_approved`), approving, moving what was approved to the recipient's folder, and taking it
back.  Nothing else moves an object there.  Every object is read once more and compared with its digest before the first one
moves, so what arrives is what was checked and approved.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradient_assets.hospitals import ReleaseRules
from gradient_assets.releases.manifest import (
    MANIFEST,
    REPORT,
    REVOKED,
    as_csv,
    delivered_rows,
    digest_of,
    manifest_rows,
)
from gradient_assets.releases.requests import Release, ReleaseError
from gradient_assets.releases.states import ReleaseLog, Standing, checked_name, is_author
from gradient_assets.releases.verification import outcomes_of
from gradient_assets.tables import RELEASE_FACTS, RELEASE_MANIFEST
from resources.environment import Resources
from resources.object_store import ObjectVanished


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

    def verify(self, by: str, manifest: bytes, report: bytes) -> Standing:
        """Log that this may be approved, and lay the page where approvers find it.

        A page that was approved, or went out, for this very manifest stays as it was read; any other one is replaced.
        """
        standing = self.require_not_revoked()
        now, page = digest_of(manifest), digest_of(report)
        is_said = bool(standing.approvals) or standing.is_current_delivered
        if standing.manifest == now and is_said and self._has_report(standing):
            return standing
        waiting = self.resources.releases.under(self.release.pages)
        waiting.put(MANIFEST, manifest)
        waiting.put(REPORT, report)
        if (standing.manifest, standing.report) != (now, page):
            standing = self.log.append("verified", by, manifest=now, report=page)
        return standing

    def approve(self, by: str, note: str = "", digest: str = "") -> Standing:
        """Say in somebody's name that this manifest and this report may leave.  `digest`: how the one that was read begins.

        Raises `ReleaseError`: not verified, made again since, one's own, said before, or not needed.
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
        if not standing.manifest.startswith(digest.lower()):
            raise ReleaseError(
                f"The report that was read has another digest: release '{name}' was made again. Read it anew."
            )
        if is_author(by, standing.authors):
            raise ReleaseError(f"'{by}' asked for release '{name}' and can't approve it.")
        if is_author(by, (entry.by for entry in standing.approvals)):
            raise ReleaseError(f"'{by}' has approved release '{name}' already. Another person has to.")
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
        self._require_unchanged(standing)
        outcomes_of(self.resources.release_requests, name, standing.manifest)
        return standing

    def deliver(self, by: str) -> Standing:
        """Move what was approved to the recipient; the same again after a broken run.  Raises `ReleaseError`."""
        standing, release, bucket = self.require_approved(), self.release, self.resources.releases
        rows = manifest_rows(self.resources.warehouse, release.name)
        manifest, report = as_csv(rows), self._report(standing)
        moving = self._moving({row["object_key"]: row["sha256"] for row in rows})
        for key in moving:
            bucket.move(f"{release.prepared}/{key}", f"{release.delivered}/dicom/{key}")
        wanted = {f"{release.delivered}/dicom/{row['object_key']}" for row in rows}
        there = [stat.key for stat in bucket.listing(f"{release.delivered}/dicom/")]
        bucket.delete([key for key in there if key not in wanted])
        bucket.put(f"{release.delivered}/{MANIFEST}", manifest)
        bucket.put(f"{release.delivered}/{REPORT}", report)
        if not standing.is_current_delivered:
            standing = self.log.append("delivered", by, manifest=standing.manifest, report=standing.report)
        for folder in (release.prepared, release.pages):
            bucket.delete([stat.key for stat in bucket.listing(f"{folder}/")])
        return standing

    def revoke(self, by: str, reason: str) -> tuple[Standing, int]:
        """Take a release back: delete what lies with the recipient under our control, and list what they must delete.

        Returns the standing and the number of objects in that list.  The log comes first: from then on nothing is delivered,
        whatever is killed when.  The same again finishes a broken one.  Raises `ReleaseError` without a reason.
        """
        standing = self.log.standing()
        if not standing.revoked:
            if not reason.strip():
                raise ReleaseError("A release is revoked for a reason. Say which: --reason.")
            if not standing.entries:
                raise ReleaseError(f"Release '{self.release.name}' was never made. There is nothing to revoke.")
            standing = self.log.append("revoked", checked_name(by), note=reason)
        bucket, release, warehouse = self.resources.releases, self.release, self.resources.warehouse
        left = f"{release.delivered}/{REVOKED}"
        handed_out = self._handed_out()
        if handed_out and not bucket.exists(left):
            bucket.put(left, as_csv(handed_out))
        for folder in (f"{release.delivered}/dicom", release.prepared, release.pages):
            bucket.delete([stat.key for stat in bucket.listing(f"{folder}/")])
        for spec in (RELEASE_MANIFEST, RELEASE_FACTS):
            warehouse.drop(spec, release.name)
        bucket.delete([f"{release.delivered}/{name}" for name in (MANIFEST, REPORT)])
        listed = bucket.get(left).count(b"\n") - 1 if bucket.exists(left) else 0
        return standing, listed

    def _require_unchanged(self, standing: Standing) -> None:
        rows = manifest_rows(self.resources.warehouse, self.release.name)
        if digest_of(as_csv(rows)) != standing.manifest:
            raise ReleaseError(
                f"Release '{self.release.name}' was made again after it was verified. Run `gradient release` again and read "
                "its report."
            )
        self._report(standing)

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

    def _moving(self, digests: dict[str, str]) -> list[str]:
        """Keys that have to move, after every object of the manifest was read and found to be the one it names."""
        bucket, release = self.resources.releases, self.release
        moving, wrong = [], 0
        for key, digest in sorted(digests.items()):
            if self._digest(f"{release.prepared}/{key}") == digest:
                moving.append(key)
            elif self._digest(f"{release.delivered}/dicom/{key}") != digest:
                wrong += 1
        if wrong:
            raise ReleaseError(
                f"{wrong} objects of release '{release.name}' are missing, or are not those of its manifest. Nothing was "
                f"delivered. {bucket.address.scheme} storage changed by somebody else; run `gradient release` again."
            )
        return moving

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
