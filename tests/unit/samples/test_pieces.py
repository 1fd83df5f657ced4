"""Names, dates, drawing, and reports for a folder of files: the pieces that the sample hospitals are made of."""

import csv
import io
from datetime import date

import numpy as np
import pytest

from gradient_assets.samples import build_samples, make_reports_for
from gradient_assets.samples.burn import burn, fit
from gradient_assets.samples.folder_reports import GENERATED_ROLES
from gradient_assets.samples.people import PersonName, Population, age_at, dice, table, written_dates
from gradient_assets.samples.planted import PlantedList
from tests.shared import SHARED, needs_shared

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize(
    ("order", "numeric", "long"),
    [
        ("mdy", "03/04/2019", "March 4, 2019"),
        ("dmy", "04.03.2019", "4 March 2019"),
        ("ymd", "2019-03-04", "2019 Mar 04"),
    ],
)
def test_dates_are_written_in_the_habitual_order(order, numeric, long):
    written = written_dates(date(2019, 3, 4), order)
    assert (written["numeric"], written["long"], written["da"]) == (numeric, long, "20190304")


@pytest.mark.parametrize(("on", "age"), [(date(2020, 6, 14), 89), (date(2020, 6, 15), 90), (date(2020, 6, 16), 90)])
def test_age_counts_completed_years(on, age):
    assert age_at(date(1930, 6, 15), on) == age


@pytest.mark.parametrize(
    ("name", "dicom", "plain"),
    [
        (PersonName("Müller", "Jürg", "K"), "Müller^Jürg^K", "Muller, Jurg K"),
        (PersonName("Żak", "Łęcja"), "Żak^Łęcja", "Zak, ecja"),
        (PersonName("Яна", "Б", latin_family="Yana", latin_given="B"), "Яна^Б", "Yana, B"),
        (PersonName("A", "B", ideographic="黒^燕", phonetic="く^つ"), "A^B=黒^燕=く^つ", "A, B"),
    ],
)
def test_forms_of_a_name(name, dicom, plain):
    assert (name.dicom, name.plain.comma) == (dicom, plain)


def test_every_fixed_person_can_be_written_in_ascii():
    population = Population(7, "st-mary", 0, "{}")
    for key in table("people")["hard"]:
        plain = population.patient(key).name.plain
        assert len(plain.family) > 3
        assert (plain.family + plain.given).isascii()


def test_no_surname_is_drawn_by_two_hospitals_or_twice():
    drawn = [Population(7, "h", place, "{}").staff().family for place in range(3)]
    one = Population(7, "h", 0, "{}")
    many = [one.staff().family for _ in range(400)]
    assert len(set(drawn)) == 3
    assert len(set(many)) == 400


def test_invented_surnames_are_long_enough_to_be_told_from_words():
    lists = table("people")
    assert min(len(start + end) for start in lists["family_starts"] for end in lists["family_ends"]) >= 8


def test_short_values_are_ambiguous_by_themselves():
    planted = PlantedList("h")
    planted.add("NAME", "Ottos", "w", "k")
    planted.add("NAME", "Ottosson", "w", "k")
    planted.add("NAME", "  ", "w", "k")
    assert [(one.value, one.ambiguous) for one in planted.sorted()] == [("Ottos", True), ("Ottosson", False)]


@pytest.mark.parametrize("corner", ["tl", "tr", "bl", "br", "tc", "bc"])
@pytest.mark.parametrize("shape", [(60, 200), (60, 200, 3)])
def test_text_is_drawn_inside_its_box_only(corner, shape):
    frame = np.full(shape, 7, np.uint16)
    drawn, placed = burn(frame, ["QUOLL, B"], corner=corner, size=14, black=0, white=999)
    outside = np.ones(shape[:2], bool)
    outside[placed.top : placed.top + placed.height, placed.left : placed.left + placed.width] = False
    assert (drawn[outside] == 7).all()
    assert drawn[~outside].max() == 999
    assert (frame == 7).all()


def test_text_too_large_for_the_frame_is_drawn_smaller():
    _, placed = burn(np.zeros((40, 60), np.uint8), ["A LONG LINE"], corner="tl", size=30, black=0, white=255)
    assert placed.width <= 60
    assert placed.height <= 40


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_fitting_keeps_type_and_range(dtype):
    frame = (np.arange(64).reshape(8, 8) * 3).astype(dtype)
    fitted = fit(frame, 32, 24)
    assert (fitted.shape, fitted.dtype) == ((32, 24), dtype)
    assert frame.min() <= fitted.min() <= fitted.max() <= frame.max()


def test_dice_of_equal_names_are_equal():
    assert dice(1, "a").random() == dice(1, "a").random() != dice(1, "b").random()


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return build_samples(tmp_path_factory.mktemp("home"))


def test_reports_for_a_folder_name_the_patients_of_its_headers(samples):
    folder = samples.home / "landing" / "st-mary" / "dicoms"
    content = make_reports_for(folder, share=1.0, seed=3)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    assert tuple(rows[0]) == GENERATED_ROLES
    planted = {one.value for one in samples.planted if one.hospital == "st-mary"}
    assert all(row["study_instance_uid"] in planted and row["patient_id"] in planted and row["text"] for row in rows)
    assert len({row["study_instance_uid"] for row in rows}) == len(rows) == 12
    named = [row for row in rows if row["patient_name"].split(",")[0].casefold() in row["text"].casefold()]
    assert len(named) > len(rows) / 2


def test_reports_for_a_folder_are_the_same_each_time_and_as_many_as_asked(samples):
    folder = samples.home / "landing"
    third = make_reports_for(folder, share=1 / 3, seed=3)
    assert third == make_reports_for(folder, share=1 / 3, seed=3)
    whole = list(csv.DictReader(io.StringIO(make_reports_for(folder, share=1, seed=3).decode(), newline="")))
    assert len(list(csv.DictReader(io.StringIO(third.decode(), newline="")))) == round(len(whole) / 3)


def test_reports_for_a_folder_with_an_unreadable_file_pass_it_over(tmp_path):
    (tmp_path / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    assert len(make_reports_for(tmp_path, share=1, seed=1).splitlines()) == 1


def test_reports_for_an_empty_folder_have_a_heading_only(tmp_path):
    assert make_reports_for(tmp_path, share=0.5, seed=1).decode().strip() == ",".join(GENERATED_ROLES)


@needs_shared
def test_reports_for_the_real_files():
    content = make_reports_for(SHARED / "data" / "dicom", share=1 / 3, seed=7)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    assert len(rows) > 30
    assert all(row["text"] and row["study_instance_uid"] for row in rows)


def test_building_and_reading_say_nothing(tmp_path, recwarn, caplog, capfd):
    build_samples(tmp_path)
    make_reports_for(tmp_path / "landing", share=1, seed=1)
    assert (recwarn.list, caplog.records, capfd.readouterr().err) == ([], [], "")
