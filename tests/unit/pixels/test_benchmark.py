"""The benchmark counts what it says: boxes outside of a picture are no hits, no modality stands in for another."""

import json

import pytest

from benchmarks.pixels import MIX, jobs_of, truth
from gradient_assets.deid.pixels import FoundText, PixelEngine
from tests.unit.pixels.objects import FixedFinder, gradient, object_of

INSIDE, OVER_THE_EDGE, RIGHT_OF_IT, BELOW_IT = (10, 10, 20, 8), (50, 30, 30, 8), (64, 10, 20, 8), (10, 48, 20, 8)


@pytest.mark.parametrize(
    ("found", "covered"),
    [((), 0), ((FoundText(*INSIDE, 0.9, 6),), 1), ((FoundText(0, 0, 64, 48, 0.9, 6),), 2)],
    ids=["nothing", "one of two", "all that is inside"],
)
def test_a_known_box_outside_of_its_picture_is_counted_by_itself(tmp_path, found, covered):
    ds = object_of(gradient(48, 64, "uint8"), SOPInstanceUID="2.25.1")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    boxes = [{"bbox": box, "category": "NAME"} for box in (INSIDE, OVER_THE_EDGE, RIGHT_OF_IT, BELOW_IT)]
    known = {"files": {"one.dcm": {"boxes": boxes}}}
    (tmp_path / "burned_in_ground_truth.json").write_text(json.dumps(known))
    figures = truth(tmp_path, PixelEngine(FixedFinder(*found)))
    assert (figures["inside_the_picture"], figures["outside_the_picture"]) == (2, 2)
    assert (figures["covered"], len(figures["misses"])) == (covered, 2 - covered)


def test_a_modality_without_files_is_left_out_of_the_mix_and_said_to_be(tmp_path):
    rows = [f"{modality}.dcm,{modality},512,,ok" for modality in MIX if modality != "MG"]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,modality,rows,frames,decode", *rows]))
    jobs, drawn = jobs_of(tmp_path, 200, seed=1)
    assert drawn == {"CT": 140, "MR": 40, "US": 10, "CR": 5, "MG": 0}
    assert len(jobs) == sum(drawn.values())
