"""Everything that can cross the boundary stands on a list with its reason, and nothing stands there that code no longer uses.

Columns and tags are compared with the tables and the graph, messages and keys of objects with the source.  What a run really
leaves behind is looked at in `tests/graph/test_what_crosses.py`.
"""

import ast
import re
from functools import cache

import dagster as dg
import pytest
import yaml

from gradient_assets import boundary
from gradient_assets.assets.context import result
from gradient_assets.definitions import build_defs
from gradient_assets.integrity.delivered import BESIDE
from gradient_assets.tables import ALL_TABLES, BY_NAME
from tests.unit.core import messages

LISTED = yaml.safe_load((messages.ROOT / "gradient_assets/crossing.yaml").read_text(encoding="utf-8"))
BEHIND = [spec for spec in ALL_TABLES if spec.zone != "identified"]

COLUMNS_WITHOUT_FORM = {
    "free text after the header engine and the search for what is left",
    "free text after the report engine and the search for what is left",
    "names a product line, not a device: the profile keeps it",
}
"""Reasons of texts that can have no form: cleaned text and names of products.  Every other text has one."""


@pytest.mark.parametrize("spec", BEHIND, ids=lambda spec: spec.full_name)
def test_each_column_has_a_reason_and_each_text_a_form_or_a_reason_to_have_none(spec):
    for column in spec.columns:
        where = f"{spec.full_name}.{column.name}"
        assert column.crossing, where
        if column.type == "STRING":
            assert bool(column.pattern) != (column.crossing in COLUMNS_WITHOUT_FORM), where
        else:
            assert column.type in ("INT64", "FLOAT64", "BOOL", "DATE"), where


@pytest.mark.parametrize("spec", BEHIND, ids=lambda spec: spec.full_name)
def test_no_form_lets_a_name_through(spec):
    forms = [column for column in spec.columns if column.pattern]
    for column in forms:
        for name in ("DOE^JOHN", "John Doe", "MRN-771204", "Doe, Jane", "Müller"):
            assert not re.fullmatch(column.pattern, name) or _is_a_code(column), f"{spec.full_name}.{column.name}"


def _is_a_code(column):
    """Codes of the standard are short capitals: a name in capitals fits, and the header engine has to be trusted for it."""
    return column.pattern in (r"[A-Z0-9 _]{0,16}", r"[A-Z0-9 _\\\-./]{0,256}")


@cache
def graph():
    folder = messages.ROOT / "hospitals.yaml"
    return build_defs({"GRADIENT_HOSPITALS": str(folder), "GRADIENT_HOME": str(folder.parent / "nowhere")})


def _texts(source):
    return {
        one.value for one in ast.walk(ast.parse(source)) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def test_each_metadata_name_and_run_tag_of_the_code_is_on_the_list_and_no_other_is():
    listed = {name for name in {**boundary.ASSET_METADATA, **boundary.RUN_TAGS} if name.startswith("gradient/")}
    whole, put_together = set(), set()
    for path in (messages.ROOT / "gradient_assets").rglob("*.py"):
        texts = _texts(path.read_text(encoding="utf-8")) if path.name != "boundary.py" else set()
        whole |= {text for text in texts if re.fullmatch("gradient/[a-z_]+", text)}
        # Where a name is put together, any word of the module may be its end; `boundary.asset_metadata` refuses the others.
        put_together |= {f"gradient/{text}" for text in texts} if "gradient/" in texts else set()
    assert whole - listed == set(), "used, and on no list"
    assert listed - whole - put_together == set(), "on the list, and used by nobody"


def test_each_name_of_an_assets_own_metadata_and_tags_is_on_the_list():
    specs = [spec for assets in graph().assets for spec in getattr(assets, "specs", [assets])]
    assert len(specs) > 10
    for spec in specs:
        own = {name for name in spec.metadata if not name.startswith("dagster-io/")}
        assert own <= set(boundary.ASSET_METADATA), spec.key
        assert {tag for tag in spec.tags if not on_list(tag, boundary.ASSET_TAGS)} == set(), spec.key


def on_list(name, names):
    """Whether the list has the name, or the beginning of it."""
    return name in names or any(name.startswith(one) for one in names if one.endswith("/"))


OUTCOMES = ("MaterializeResult", "AssetObservation", "AssetCheckResult", "AssetMaterialization")


def outcomes_past_the_list(source):
    """Outcomes for Dagster whose metadata did not go through `boundary.asset_metadata`."""
    tree = ast.parse(source)
    listed = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("boundary.asset_metadata(")
        for target in node.targets
    }
    made = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func).endswith(OUTCOMES)]
    given = [ast.unparse(word.value) for one in made for word in one.keywords if word.arg == "metadata"]
    return [text for text in given if text not in listed and not text.startswith("boundary.asset_metadata(")]


def test_all_metadata_goes_through_the_list():
    for path in messages.sources():
        assert outcomes_past_the_list(path.read_text(encoding="utf-8")) == [], path.name


@pytest.mark.parametrize(
    ("source", "past"),
    [
        ("dg.MaterializeResult(metadata=found)", ["found"]),
        ("dg.MaterializeResult(metadata=boundary.asset_metadata(found))", []),
        ("listed = boundary.asset_metadata(found)\ndg.AssetObservation(metadata=listed)", []),
    ],
)
def test_the_search_for_metadata_sees(source, past):
    assert outcomes_past_the_list(source) == past


def test_an_asset_with_unlisted_metadata_fails():
    with pytest.raises(ValueError, match="patient_name"):
        result("prod", {"patient_name": "x"}, "1")


def test_each_tag_and_metadata_name_has_its_reason():
    for names in (boundary.ASSET_METADATA, boundary.RUN_TAGS, boundary.ASSET_TAGS, boundary.DAGSTER_RUN_TAGS):
        assert all(len(reason) > 3 for reason in names.values())


def _messages_listed():
    return {
        path: {expression for expressions in by_meaning.values() for expression in expressions}
        for path, by_meaning in LISTED["modules"].items()
    }


ANYWHERE = {expression for expressions in LISTED["anywhere"].values() for expression in expressions}


def test_each_value_of_a_message_is_on_the_list():
    listed = _messages_listed()
    unlisted = {
        path: [one for one in expressions if one not in ANYWHERE and one not in listed.get(path, set())]
        for path, expressions in messages.all_fields().items()
    }
    assert {path: expressions for path, expressions in unlisted.items() if expressions} == {}, (
        "say in gradient_assets/crossing.yaml what it is, after a look at where it comes from"
    )


def test_each_value_of_the_list_stands_in_a_message():
    found = messages.all_fields()
    gone = {path: sorted(listed - set(found.get(path, []))) for path, listed in _messages_listed().items()}
    assert {path: expressions for path, expressions in gone.items() if expressions} == {}
    assert ANYWHERE - {one for expressions in found.values() for one in expressions} == set()


def test_each_meaning_is_explained_and_used():
    used = {meaning for by_meaning in LISTED["modules"].values() for meaning in by_meaning} | set(LISTED["anywhere"])
    assert used == set(LISTED["meanings"])
    assert all(reason.endswith(".") for reason in LISTED["meanings"].values())


def test_every_error_that_keeps_its_words_is_looked_at():
    """Errors that cross a step with their message are made in modules that the list covers."""
    from gradient_assets.assets.context import PLAIN_ERRORS

    covered = [str(path.relative_to(messages.ROOT)) for path in messages.sources()]
    for error in PLAIN_ERRORS:
        if error is dg.Failure:
            continue
        path = error.__module__.replace(".", "/")
        assert f"{path}.py" in covered or f"{path}/__init__.py" in covered, error


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise ValueError(f"no {patient.name}")', ["patient.name"]),
        ('raise ReleaseError(f"{len(rows)} rows") from None', ["len(rows)"]),
        ('failure = StoreError("no " + key)', ["key"]),
        ('self.say(f"{key}: done")', ["key"]),
        ("context.log.info(row)", ["row"]),
        ('context.log.warning("%s", row)', ["row"]),
        ('dg.AssetCheckResult(passed=True, description=f"{name}")', ["name"]),
        ("dg.Failure(description=text)", ["text"]),
        ('def f(key):\n    what = f"no {key}"\n    raise ValueError(what)', ["key"]),
        ('def f(key):\n    what = key.upper()\n    raise ValueError(what)', ["what"]),
        ('def told(key):\n    return f"no {key}"\nraise ValueError(told(1))', ["key"]),
        ('def told(key):\n    return key.upper()\nraise ValueError(told(1))', ["told(1)"]),
        ('raise ValueError("it has " + ("no" if x else f"{y}"))', ["y"]),
        ('raise ValueError(", ".join(f"{n} in {key}" for n, key in found))', ["n", "key"]),
        ('def f():\n    said = ", ".join(names)\n    raise ValueError(said)', ["', '.join(names)"]),
        ('raise ValueError(f"at most {MAX_ROWS}")', []),
        ('raise Refused(Reason.TRUNCATED, f"{tag:08X}")', ["tag"]),
        ('value = f"{patient.name}"', []),
    ],
)  # fmt: skip
def test_the_search_for_messages_sees(source, found):
    assert messages.fields(source) == found


def _writes_listed():
    return {path: {key for keys in by_place.values() for key in keys} for path, by_place in LISTED["writes"].items()}


def test_each_place_that_code_writes_to_is_on_the_list_and_no_other_is():
    found = {path: set(keys) for path, keys in messages.all_writes().items()}
    assert found == _writes_listed()


def test_each_place_is_explained_and_has_its_forms():
    places = {place for by_place in LISTED["writes"].values() for place in by_place}
    assert places == set(LISTED["places"])
    assert {form.place for form in boundary.OBJECT_KEYS} - {"warehouse"} == places - {"identified", "staging"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('bucket.put(f"{name}.json", content)', ["f'{name}.json'"]),
        ("resources.releases.under(x).put(key, content)", ["key"]),
        ("bucket.move(source, target)", ["source", "target"]),
        ("bucket.get(key)", []),
    ],
)
def test_the_search_for_writes_sees(source, found):
    assert messages.writes(source) == found


PATIENT = "P" + "A" * 16
UIDS = "2.25.1/2.25.2/2.25.3"
KEYS = [
    ("thumbnails", f"st-mary/{UIDS}.png"),
    ("thumbnails", f"st-mary/{UIDS}.strip.png"),
    ("thumbnails", "contact_sheets/st-mary.jpg"),
    ("releases", f"uni/spring/dicom/{PATIENT}/{UIDS}.dcm"),
    ("releases", f"_prepared/spring/{PATIENT}/{UIDS}.dcm"),
    ("releases", "_prepared/_pages/spring/manifest.csv"),
    ("releases", "_prepared/_pages/spring/report.html"),
    *(("releases", f"uni/spring/{name}") for name in sorted(BESIDE)),
    ("warehouse", "public_table/st-mary.parquet"),
    ("warehouse", "public_table/.st-mary.lock"),
]
FOREIGN = [
    ("thumbnails", "st-mary/DOE^JOHN/1.2.3/1.2.4.png"),
    ("thumbnails", f"st-mary/{UIDS}.png.txt"),
    ("thumbnails", "contact_sheets/DOE^JOHN.jpg"),
    ("thumbnails", "st-mary/contact_sheet.jpg"),
    ("releases", f"uni/spring/dicom/DOE/{UIDS}.dcm"),
    ("releases", "uni/spring/patients.csv"),
    ("releases", f"uni/{PATIENT}/{UIDS}.dcm"),
    ("releases", "_requests/spring.json"),
    ("warehouse", "public_table/Doe John.parquet"),
]


def fitting(place, key):
    return [form for form in boundary.OBJECT_KEYS if form.place == place and form.fits(key)]


@pytest.mark.parametrize(("place", "key"), KEYS)
def test_a_key_that_is_written_has_exactly_one_form(place, key):
    assert len(fitting(place, key)) == 1


@pytest.mark.parametrize(("place", "key"), FOREIGN)
def test_a_foreign_key_has_none(place, key):
    assert fitting(place, key) == []


@pytest.mark.parametrize("form", boundary.OBJECT_KEYS, ids=lambda form: form.what)
def test_each_form_has_an_example_and_a_reason(form):
    assert any(form.place == place and form.fits(key) for place, key in KEYS)
    assert form.reason


def test_the_tables_of_the_warehouse_have_names_of_the_form():
    for name in BY_NAME:
        assert fitting("warehouse", f"{name.partition('.')[2]}/st-mary.parquet"), name
