"""The two passes over the files: first what their headers say of each patient, then the cleaning.

Belongs here: the two steps and their items.  Two passes, because the name that one file hides in a comment may stand in
its name element only in another.  The order of the engines within one object is `deid.instance`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradient_assets import boundary
from gradient_assets.deid import documents, headers, pixels
from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.instance import InstanceCleaner
from gradient_assets.deid.reasons import Refused
from gradient_assets.deid.text import TextEngine
from gradient_assets.folder.crosswalk import CrosswalkRow
from gradient_assets.folder.exchange import OUTCOMES, REFUSALS, Outcome, emitted, work_item
from gradient_assets.folder.patients import Belonging, Patients
from gradient_assets.folder.walking import InputFile, open_file, read_file
from gradient_assets.pipelines.steps import Emitted, EmittedObject, RefusedRecord, WorkItem


@dataclass
class GatherHeaders:
    """One file → the columns that tie it to a patient, its identifiers, and whether it is admitted."""

    folder: str = field(repr=False)
    profile: Profile
    stage: str = "folder_headers"
    version: str = headers.ENGINE_VERSION
    deadline_s: float = 60.0
    output = OUTCOMES
    refusals = REFUSALS
    made = None
    beside = ()

    def open(self) -> None:
        """Nothing to load."""

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Read up to the pixel data.  What is not admitted still says who the patient is."""
        with open_file(self.folder, item["row"]["path"]) as file:
            dataset = headers.read_dataset(file, stop_before_pixels=True)
        columns = headers.columns_of(dataset)
        names = ("patient_id", "accession_number", "sop_instance_uid", "series_instance_uid", "study_instance_uid")
        record: dict[str, Any] = {name: columns[name] or "" for name in names}
        record["identifiers"] = headers.identifiers_of(dataset).as_dict()
        try:
            if not documents.is_asked_for(self.profile, dataset):
                headers.admit(dataset, profile=self.profile)
        except Refused as refused:
            record["refused"] = [refused.reason.value, refused.detail]
        yield emitted(item, record)


@dataclass
class CleanFiles:
    """One file → one cleaned object under a token's name, and where it is to lie."""

    folder: str = field(repr=False)
    profile: Profile
    pseudonymizer: Pseudonymizer = field(repr=False)
    finder: pixels.TextFinder
    text: TextEngine
    second: pixels.TextFinder | None = None
    stage: str = "folder_dicoms"
    version: str = f"{headers.ENGINE_VERSION}+{pixels.ENGINE_VERSION}"
    deadline_s: float = 600.0
    output = OUTCOMES
    refusals = REFUSALS
    made = None
    beside = ()

    def open(self) -> None:
        """Load rules and models."""
        self._cleaner = InstanceCleaner(self.profile, self.pseudonymizer, self.finder, self.second, text=self.text)

    def apply(self, item: WorkItem) -> Iterator[Emitted | RefusedRecord | EmittedObject]:
        """Clean the whole object; nothing of it is written unless all of it is clean."""
        content = read_file(self.folder, item["row"]["path"])
        cleaned = self._cleaner.clean(content, KnownIdentifiers.from_dict(item["identifiers"]))
        header = cleaned.header
        uids = (header.new_study_uid, header.new_series_uid, header.new_sop_uid)
        key = boundary.release_key(header.person.pseudonym, *(self._folder_name(uid) for uid in uids))
        yield EmittedObject(object_name(item["work_token"]), cleaned.content)
        yield emitted(
            item,
            {
                "key": key,
                "old": [header.old_sop_uid, header.old_series_uid, header.old_study_uid],
                "new": [header.new_sop_uid, header.new_series_uid, header.new_study_uid],
                "new_patient_id": header.person.pseudonym,
                "boxes": len(cleaned.pixels.boxes),
                "identifiers_removed": header.removed_by_kind.total(),
                "elements_removed": header.elements_removed,
                "elements_changed": header.elements_changed,
            },
        )

    def _folder_name(self, new_uid: str) -> str:
        """A missing Study or Series Instance UID (7 of pydicom's 176 test files) still needs a folder, a well-known SOP
        Instance UID (its 8 colour palettes), which the header engine keeps, a name of the listed form."""
        return new_uid if new_uid.startswith("2.25.") else self.pseudonymizer.uid(f"\x00no new UID\x00{new_uid}")


def object_name(token: str) -> str:
    """How a worker names a cleaned object until the parent puts it in its place."""
    return f"{token}.dcm"


def header_items(files: Iterable[InputFile], identity: Pseudonymizer) -> Iterator[WorkItem]:
    """An item for each file that can be read."""
    for file in files:
        if file.refused is None:
            yield work_item(_token(identity, file), file.number, {"path": file.path})


def cleaning_items(
    files: Iterable[InputFile], gathered: Mapping[int, Outcome], patients: Patients, identity: Pseudonymizer
) -> Iterator[WorkItem]:
    """An item for each file whose header was read and admitted, with all that is known of its patient."""
    for file in files:
        outcome = gathered.get(file.number)
        if outcome is None or outcome.refused is not None:
            continue
        known = patients.of(belonging_of(outcome.record))
        yield work_item(_token(identity, file), file.number, {"path": file.path}, known.as_dict())


def belonging_of(record: Mapping[str, Any]) -> Belonging:
    """Whose file it is."""
    return Belonging(record["patient_id"], record["study_instance_uid"], record["accession_number"])


def delivered_row(file: InputFile, header: Mapping[str, Any], record: Mapping[str, Any], place: str) -> CrosswalkRow:
    """The line in FILE of a file that lies in OUT."""
    old_sop, old_series, old_study = record["old"]
    new_sop, new_series, new_study = record["new"]
    return CrosswalkRow(
        input_path=file.path,
        status="ok",
        output_path=place,
        old_sop_instance_uid=old_sop,
        new_sop_instance_uid=new_sop,
        old_series_instance_uid=old_series,
        new_series_instance_uid=new_series,
        old_study_instance_uid=old_study,
        new_study_instance_uid=new_study,
        old_patient_id=header["patient_id"],
        new_patient_id=record["new_patient_id"],
    )


def quarantined_row(file: InputFile, header: Mapping[str, Any], refused: Refused) -> CrosswalkRow:
    """The line in FILE of a file that was refused; its old identifiers as far as its header could be read."""
    return CrosswalkRow(
        input_path=file.path,
        status="quarantined",
        reason=refused.reason.value,
        detail=refused.detail,
        old_sop_instance_uid=header.get("sop_instance_uid", ""),
        old_series_instance_uid=header.get("series_instance_uid", ""),
        old_study_instance_uid=header.get("study_instance_uid", ""),
        old_patient_id=header.get("patient_id", ""),
    )


def _token(identity: Pseudonymizer, file: InputFile) -> str:
    return identity.token("file", str(file.number), file.path)
