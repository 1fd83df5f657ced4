"""Names of any patient with one typing error: found beside the other part of the name, nowhere else."""

import pickle

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.verify import IdentifierIndex

PEOPLE = ("Quillfeather^Zebulon", "Oskralkvist^Maristelle", "May^Grace", "Vint^Ola", "Quillfeatter^Brunhild")


@pytest.fixture(scope="module")
def index():
    return IdentifierIndex.build([KnownIdentifiers(patient_names=(name,)) for name in PEOPLE])


@pytest.mark.parametrize(
    "text",
    [
        "seen by Zebulon Quilfeather today",  # a letter too few
        "seen by Zebulon Quillfeathher today",  # a letter too many
        "Quilfleather, Zebulon",  # two letters swapped
        "ZEBULON QUILLFEATHAR",
        "Zebulon B. Quillfaather",
        "Quillfeather^Zabulon",
        "Maristelle Oskralkvisd",
        "Oskralkvist Marristelle",
        "zeBulon Quillfeather".replace("zeB", "Zeb").replace("Quillfeather", "Quillfaather"),
    ],
)
def test_a_misspelt_name_beside_its_other_part_is_found(index, text):
    assert {(hit.kind, hit.rule) for hit in index.search_text(text)} == {("name", "one_typing_error")}


@pytest.mark.parametrize(
    "text",
    [
        "Quilfeather was here",  # alone
        "Zebulon went home. Quilfeather",  # another sentence
        "Zebulon and Quilfeather",
        "zebulon quilfeather",  # no capitals
        "Zebulon Quilfether",  # two errors
        "Zebulon Kuillfeathel",  # neither end
        "Maristelle Quilfeather",  # of two people
        "Grace Mai",  # parts that are words or too short
        "Ola Vind",
        "Brunhild Quillfeather",  # spelled as somebody else's name: two known people, no error
        "Zebulon Feather",
        "Zebulon " + " " * 60 + "Quilfeather",
    ],
)
def test_what_only_looks_like_one_is_not(index, text):
    assert not [hit for hit in index.search_text(text) if hit.rule == "one_typing_error"]


def test_a_name_without_an_error_is_found_once_and_as_such(index):
    assert [hit.rule for hit in index.search_text("Zebulon Quillfeather")] == ["full_name"]


def test_the_index_goes_to_workers(index):
    again = pickle.loads(pickle.dumps(index))
    assert again.search_text("Zebulon Quilfeather")


@pytest.mark.parametrize("unit", ["Zebulon ", "Zebulon Q", "Zebulon, "])
def test_a_name_that_is_everywhere_takes_no_quadratic_time(index, unit):
    index.search_text(unit * 20_000)


def test_a_column_is_searched_over_the_joints_of_its_pieces(index):
    texts = ["clean " * 2_000] * 20 + ["Zebulon Quillfeather"] + ["clean " * 2_000] * 20
    assert [hit.rule for hit in index.search_column("text", texts)] == ["full_name"]
    assert index.search_column("text", ["Zebulon", "Quillfeather"] * 10_000) == []


@pytest.mark.parametrize("escaped", ["Zebulon&#32;Quillfeather", "Zebulon%20Quillfeather", "Zebulon\\nQuillfeather"])
def test_an_escaped_name_in_a_long_text_is_found(index, escaped):
    text = "nothing to see here, 100 percent " * 500 + escaped + " and so on " * 500 + "a&amp;b 5%20 c\\n" * 3
    assert {hit.rule for hit in index.search_text(text)} == {"full_name"}
