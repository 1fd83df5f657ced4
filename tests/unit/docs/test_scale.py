"""The page's figures are those that were measured, the benchmark's reckoning is right, and what it measures with is DICOM."""

import contextlib
import io
import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks import made_objects, scale, scale_page
from benchmarks.scale_page import CLEANING, HEADERS, Figures, Run
from gradient_assets.deid import headers

FLAT = Run(
    engine="Prism",
    objects=1_000,
    again=False,
    seconds=30.0,
    steps={HEADERS: 8.0, CLEANING: 10.0, "a_check": 2.0, "another_check": 3.0},
    cpu_s=40.0,
    coordinator_mb=300,
    worker_mb=200,
    workers=2,
    runner_mb=50,
    listing_s=0.0,
)


@pytest.fixture(scope="module")
def measured():
    return Figures.from_json(scale_page.FIGURES.read_text(encoding="utf-8"))


def test_the_page_has_what_was_measured(measured):
    page = scale_page.PAGE.read_text(encoding="utf-8")
    stands = page.partition(scale_page.BEGIN)[2].partition(scale_page.END)[0]
    again = "run python -m benchmarks.scale --from docs/images/scale.json --write"
    assert stands == scale_page.tables(measured), again
    assert scale_page.PLOT.read_text(encoding="utf-8") == scale_page.plot(measured), again


def test_the_page_says_which_engine_was_not_measured(measured):
    assert set(scale.PARTS) | {"embedded"} == set(scale_page.ENGINES)
    first = scale_page.tables(measured).splitlines()[0]
    for engine in scale_page.ENGINES:
        assert (engine in first) == (bool(measured.runs) and not measured.new(engine))
    assert scale_page.tables(Figures(2, 0.0, [])) == "Not measured yet.\n"
    some = scale_page.tables(Figures(2, 0.0, [FLAT])).splitlines()[0]
    assert some.endswith("Not measured: embedded, Flink in the job server, Flink cluster.")


def test_a_run_with_nothing_new_stands_beside_its_listing_and_starts_no_worker(measured):
    assert [run.objects for run in measured.again] == [run.objects for run in measured.new("embedded")]
    for run in measured.again:
        assert run.workers == 0
        assert run.listing_s > 0
        assert run.pieces.keys() == scale_page.PIECES.keys()


def test_all_steps_were_counted(measured):
    for run in measured.runs:
        assert {HEADERS, CLEANING} < set(run.steps)
        assert sum(run.steps.values()) <= run.seconds


def test_figures_come_back_from_their_file():
    figures = Figures(2, 0.1, [FLAT, replace(FLAT, again=True)])
    assert Figures.from_json(figures.as_json()) == figures


def test_a_measurement_that_was_broken_off_goes_on_where_it_was(tmp_path, monkeypatch):
    embedded = replace(FLAT, engine="embedded")
    begun = [FLAT, embedded, replace(embedded, again=True), replace(embedded, objects=2_000)]
    file = tmp_path / "figures.json"
    file.write_text(Figures(2, 0.1, begun).as_json())
    asked = scale.asked_for(["--engines", "embedded", "Prism", "--sizes", "1000", "2000", "--json", str(file)])

    def measured(engine, objects, home, dicoms, part, again=False):
        return replace(FLAT, engine=engine, objects=objects, again=again, seconds=99.0)

    class Nothing(contextlib.nullcontext):
        """A part that nobody starts."""

    monkeypatch.setattr(scale, "measured", measured)
    monkeypatch.setattr(scale, "PARTS", {"Prism": Nothing})
    monkeypatch.setattr(scale.made_objects, "fill", lambda folder, number: None)
    monkeypatch.setattr(scale.made_objects, "make_home", lambda home, dicoms: None)
    found = scale.measure(asked)
    new = [(run.engine, run.objects, run.again) for run in found.runs if run.seconds == 99.0]
    assert new == [("embedded", 2_000, False), ("embedded", 2_000, True), ("Prism", 2_000, False)]
    assert [run for run in found.runs if run.seconds != 99.0] == begun[:3], "half of a pair is measured again"
    assert Figures.from_json(file.read_text()) == found


def test_growth_is_what_the_objects_in_between_take():
    """A start of 20 s is in each run, and in no growth; what a process holds anyway is in no growth of memory."""
    runs = [
        replace(
            FLAT, objects=objects, seconds=20 + objects / 100, cpu_s=objects / 50, coordinator_mb=300 + objects // 1_000
        )
        for objects in (4_000, 1_000, 2_000)
    ]
    found = scale_page.growths(Figures(2, 0.0, runs))
    assert [(one.smaller, one.larger) for one in found] == [(1_000, 2_000), (2_000, 4_000)]
    for one in found:
        assert (one.seconds, one.cpu_s, one.coordinator_mb, one.worker_mb) == (10.0, 20.0, 1.0, 0.0)


def test_a_second_run_of_a_size_is_no_growth():
    assert scale_page.growths(Figures(2, 0.0, [FLAT, replace(FLAT, again=True), replace(FLAT, seconds=99.0)])) == []


def test_checks_are_all_steps_beside_the_stages():
    assert FLAT.checks_s == 5.0
    row = scale_page.sizes_table(Figures(2, 0.0, [FLAT])).splitlines()[2]
    assert row == "| Prism | 1,000 | 30 | 8 | 10 | 5 | 40 | 300 | 200 | 2 | 50 |"


def test_pieces_add_up_as_often_as_they_are_done():
    again = replace(
        FLAT, again=True, pieces={"listing": 0.02, "verdicts of the stage": 0.5, "search for patterns": 1.0}
    )
    rows = scale_page.pieces_table(Figures(2, 0.0, [again])).splitlines()[2:]
    assert [row.split(" | ")[3] for row in rows] == ["2", "50", "0", "52"]


def test_a_page_without_a_place_for_the_tables_is_left_alone(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("# A page\n")
    for name in ("PLOT", "FIGURES"):
        monkeypatch.setattr(scale_page, name, tmp_path / name)
    monkeypatch.setattr(scale_page, "PAGE", page)
    with pytest.raises(ValueError, match="no place"):
        scale_page.write_page(Figures(2, 0.0, [FLAT]))
    assert page.read_text() == "# A page\n"
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_made_objects_are_instances_of_patients_with_studies(tmp_path):
    a_patient = made_objects.SLICES * made_objects.STUDIES
    made_objects.fill(tmp_path, a_patient + 1)
    found = [
        headers.read_dataset(path.read_bytes(), stop_before_pixels=True) for path in sorted(tmp_path.rglob("*.dcm"))
    ]
    assert len({ds.SOPInstanceUID for ds in found}) == a_patient + 1
    assert all(ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID for ds in found)
    assert len({ds.StudyInstanceUID for ds in found}) == made_objects.STUDIES + 1
    assert len({(ds.PatientID, str(ds.PatientName)) for ds in found}) == 2
    assert headers.identifiers_of(found[0]).patient_ids == (found[0].PatientID,)


@pytest.mark.parametrize("pixels", [True, False])
def test_a_made_object_keeps_nothing_of_the_template_and_is_made_alike_each_time(pixels):
    template = made_objects.template(pixels)
    made = made_objects.patched(template, 12_345)
    places = ("INSTANCE", "STUDY", "SERIES", "PATIENT", "NAME", "ACCESSION", "BORN")
    assert {name: getattr(made_objects, name).encode() in made for name in places} == dict.fromkeys(places, False)
    assert len(made) == len(template)
    assert made == made_objects.patched(template, 12_345)
    assert ("PixelData" in headers.read_dataset(io.BytesIO(made).getvalue())) == pixels


def test_a_listing_that_misses_an_object_ends_the_benchmark(tmp_path):
    made_objects.fill(tmp_path, 3)
    scale.listing_seconds(tmp_path, 3)
    with pytest.raises(SystemExit, match="3 of 4"):
        scale.listing_seconds(tmp_path, 4)


def test_the_peak_of_a_process_is_seen_after_it_gave_the_memory_back():
    program = "taken = bytearray(96 << 20); del taken; print('done', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"done\n"
        assert scale.peak_mb(child.pid) >= 96
        watched = scale.Watched()
        watched.look(child.pid)
        assert watched.peaks("coordinator")[0] >= 96
        watched.begin()
        watched = scale.Watched()
        watched.look(child.pid)
        assert watched.peaks("coordinator")[0] < 96
        child.communicate(b"\n")


def test_an_engine_is_told_by_its_settings_alone(tmp_path, monkeypatch):
    """What the operator's own shell exports is not measured."""
    monkeypatch.setenv("GRADIENT_HOME", "/elsewhere")
    monkeypatch.setenv("GRADIENT_BEAM_RUNNER", "dataflow")
    monkeypatch.setenv("DAGSTER_HOME", "/elsewhere")
    environ = scale.environment(tmp_path, None)
    assert environ["GRADIENT_HOME"] == str(tmp_path)
    assert "GRADIENT_BEAM_RUNNER" not in environ
    assert "DAGSTER_HOME" not in environ
