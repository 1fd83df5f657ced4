"""Which planted texts in pixels are not covered by a box of `pixel_text`.

Belongs here: comparing the list of what was burned in with the boxes of a run.
"""

from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.samples import read_planted
from gradient_assets.tables import DICOM_METADATA, PIXEL_TEXT
from tests.graph.conftest import Home

Rectangle = tuple[int, int, int, int]


def uncovered(home: Home, hospital_id: str) -> tuple[int, int]:
    """Planted burned-in texts of instances that were not refused: how many, and how many no box covers at their middle."""
    hospital = home.registry.get(hospital_id)
    identity = Pseudonymizer(home.resources.vault.key(hospital.secret_name), hospital_id)
    warehouse = home.resources.warehouse
    boxes: dict[tuple[str, int], list[Rectangle]] = {}
    looked_at = set()
    for row in (row for batch in warehouse.scan(PIXEL_TEXT, hospital_id) for row in batch.to_pylist()):
        looked_at.add(row["sop_instance_uid"])
        if row["box"]:
            left, top = row["box_left"], row["box_top"]
            place = (left, top, left + row["box_width"], top + row["box_height"])
            boxes.setdefault((row["sop_instance_uid"], row["frame"]), []).append(place)
    columns = ("object_key", "sop_instance_uid")
    originals = [
        row for batch in warehouse.scan(DICOM_METADATA, hospital_id, columns=columns) for row in batch.to_pylist()
    ]
    uid_of = {row["object_key"]: identity.uid(row["sop_instance_uid"]) for row in originals}
    planted = missed = 0
    for one in read_planted(home.path):
        uid = uid_of.get(one.object_key.removeprefix("dicoms/"))
        if one.hospital != hospital_id or not one.where.startswith("burned_in") or uid not in looked_at:
            continue
        fields = dict(part.split("=") for part in one.where.split()[1:])
        left, top, width, height = map(int, fields["box"].split(","))
        x, y = left + width // 2, top + height // 2
        planted += 1
        missed += not any(
            x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in boxes.get((uid, int(fields["frame"])), [])
        )
    return planted, missed
