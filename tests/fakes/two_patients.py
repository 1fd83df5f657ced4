"""A GRADIENT_HOME with one hospital of two patients: small images, an object that can't be read, and a file of reports.

The one who is withdrawn in tests has ids in several spellings, an object without patient id, and a report.
"""

import io
from pathlib import Path

import pydicom
import yaml

from tests.fakes.small_home import image

GONE, GONE_IN_REPORTS, GONE_NAME = "MRN-771204", "mrn 771204", "Quillfeather^Zebulon"
STAYS, STAYS_NAME = "MRN-880315", "Wobblethorpe^Griselda"
ACCESSION_GONE, ACCESSION_STAYS = "ACC-5512907", "ACC-6623018"
STUDY_GONE, STUDY_STAYS = "1.2.3.4.200", "1.2.3.5.200"

HOSPITAL = "st-mary"
COLUMNS = {
    "report_id": "Id",
    "text": "Report",
    "patient_id": "MRN",
    "patient_name": "Name",
    "accession_number": "Accession",
}
REPORTS = f"""Id,MRN,Name,Accession,Report
R-1001,{GONE_IN_REPORTS},Zebulon Quillfeather,{ACCESSION_GONE},The lungs are clear. No effusion.
R-1002,{STAYS},Griselda Wobblethorpe,{ACCESSION_STAYS},The heart is of normal size.
R-1003,{STAYS},Griselda Wobblethorpe,,There is no fracture.
"""


def instance(number, patient_id, name, study, accession):
    """One small image as bytes; a blank patient id is left out."""
    ds = pydicom.dcmread(io.BytesIO(image(number, [])))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study}.{number}"
    ds.PatientID, ds.PatientName, ds.StudyInstanceUID, ds.AccessionNumber = patient_id, name, study, accession
    ds.SeriesInstanceUID = f"{study}.1"
    ds.StudyDate = "20190304"
    if not patient_id:
        del ds.PatientID, ds.PatientName
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


OBJECTS = {
    "a/one.dcm": instance(1, GONE, GONE_NAME, STUDY_GONE, ACCESSION_GONE),
    "a/two.dcm": instance(2, GONE, GONE_NAME, STUDY_GONE, ACCESSION_GONE),
    "a/nameless.dcm": instance(3, "", "", STUDY_GONE, ""),
    "b/one.dcm": instance(1, STAYS, STAYS_NAME, STUDY_STAYS, ACCESSION_STAYS),
    "b/two.dcm": instance(2, STAYS, STAYS_NAME, STUDY_STAYS, ACCESSION_STAYS),
    "MRN771204/broken.dcm": b"no DICOM",
    "b/broken.dcm": b"no DICOM either",
}


def build(path: Path) -> None:
    """Write the buckets and the registry; keys are made by `gradient doctor --mend`."""
    for key, content in OBJECTS.items():
        put(path, "dicoms", key, content)
    put(path, "reports", "2019.csv", REPORTS.encode())
    entry = {
        "id": HOSPITAL,
        "number": 1,
        "buckets": {kind: f"landing/{HOSPITAL}/{kind}" for kind in ("dicoms", "reports")},
        "report_columns": COLUMNS,
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": f"hospital/{HOSPITAL}",
    }
    (path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": [entry]}))


def put(path: Path, kind: str, key: str, content: bytes) -> None:
    """What the hospital does."""
    file = path / f"landing/{HOSPITAL}/{kind}" / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def ids_file(path: Path, *ids: str) -> Path:
    """A file of patient ids that nobody else may read."""
    file = path / "ids.txt"
    file.write_text("".join(f"{one}\n" for one in ids))
    file.chmod(0o600)
    return file
