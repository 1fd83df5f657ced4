"""A GRADIENT_HOME with a hospital of two patients: four small images with planted text, a broken object, four reports.

Keys are made with it, the recipient's too: then equal commands come to equal bytes.
"""

import io
from pathlib import Path

import pydicom
import yaml

from gradient_assets.hospitals import load_registry
from resources import Settings, resources_for
from tests.fakes.small_home import SURE, image
from tests.fakes.two_patients import ids_file

RECIPIENT = "uni-x"
PATIENTS = {"MRN-771204": "Quillfeather^Zebulon", "MRN-880315": "Wobblethorpe^Griselda"}
GONE = "MRN-771204"
IMAGES = tuple((patient, number) for patient in PATIENTS for number in (1, 2))
REPORTS = "\n".join(
    [
        "Id,MRN,Name,Report",
        *(
            f"R-{patient[-4:]}-{number},{patient},{name.replace('^', ' ')},{name.partition('^')[0]} was seen. Note {number}."
            for patient, name in PATIENTS.items()
            for number in (1, 2)
        ),
        "",
    ]
)
COLUMNS = {"report_id": "Id", "text": "Report", "patient_id": "MRN", "patient_name": "Name"}

__all__ = ["GONE", "IMAGES", "PATIENTS", "RECIPIENT", "build", "ids_file", "send_again"]


def build(path: Path, *hospitals: str) -> Path:
    """Write buckets, registry and keys; `st-mary` without other names."""
    names = hospitals or ("st-mary",)
    for hospital in names:
        landing = path / "landing" / hospital
        for kind in ("dicoms", "reports"):
            (landing / kind).mkdir(parents=True)
        for patient, number in IMAGES:
            (landing / "dicoms" / f"{patient}-{number}.dcm").write_bytes(instance(patient, number))
        (landing / "dicoms" / "broken.dcm").write_bytes(b"no DICOM")
        (landing / "reports" / "all.csv").write_text(REPORTS)
    entries = [entry(hospital, number) for number, hospital in enumerate(names, start=1)]
    (path / "hospitals.yaml").write_text(yaml.safe_dump({"hospitals": entries}))
    resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(path)}))
    for hospital in load_registry(path / "hospitals.yaml", home=path):
        resources.vault.create(hospital.secret_name)
    resources.vault.create(f"recipient/{RECIPIENT}")
    return path


def send_again(path: Path) -> None:
    """What a hospital does later: an image is gone, the reports come with a row that breaks off, and the profile is another."""
    landing = path / "landing/st-mary"
    patient, number = IMAGES[0]
    (landing / "dicoms" / f"{patient}-{number}.dcm").unlink()
    header, first, *others = REPORTS.splitlines()
    (landing / "reports" / "all.csv").write_text("\n".join([header, first, "R-broken,MRN-771204", *others[1:], ""]))
    registry = yaml.safe_load((path / "hospitals.yaml").read_text())
    registry["hospitals"][0]["profile"] = "safe_harbor"
    (path / "hospitals.yaml").write_text(yaml.safe_dump(registry))


def entry(hospital: str, number: int) -> dict[str, object]:
    """The hospital in the registry."""
    return {
        "id": hospital,
        "number": number,
        "buckets": {kind: f"landing/{hospital}/{kind}" for kind in ("dicoms", "reports")},
        "report_columns": COLUMNS,
        "date_order": "mdy",
        "timezone": "UTC",
        "profile": "longitudinal",
        "secret_name": f"hospital/{hospital}",
    }


def instance(patient: str, number: int) -> bytes:
    """One image of the patient, with text where the fake finder finds it."""
    ds = pydicom.dcmread(io.BytesIO(image(number, [SURE])))
    ds.PatientID, ds.PatientName = patient, PATIENTS[patient]
    ds.StudyInstanceUID = f"1.2.3.{patient[-4:]}.200"
    ds.SeriesInstanceUID = f"{ds.StudyInstanceUID}.1"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SeriesInstanceUID}.{number}"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()
