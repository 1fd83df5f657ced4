"""Graphics over a picture: layers lose the names people gave them, and what may be handwriting goes."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from gradient_assets.deid.headers import HeaderEngine, Profile
from gradient_assets.deid.headers.graphics import MOST_OBJECTS
from tests.unit.headers.conftest import CutsKnown
from tests.unit.headers.instances import cleaned, instance, item, sequence

PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
CIRCLE = [10.0, 10.0, 14.0, 10.0]
ELLIPSE = [1.0, 5.0, 9.0, 5.0, 5.0, 1.0, 5.0, 9.0]


def drawn(kind: str, numbers: list[float]) -> Dataset:
    return item(
        GraphicAnnotationUnits="PIXEL",
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(numbers) // 2,
        GraphicData=numbers,
        GraphicType=kind,
        GraphicFilled="N",
    )


def words(text: str = "nodule") -> Dataset:
    return item(UnformattedTextValue=text, AnchorPoint=[1.0, 2.0], AnchorPointVisibility="N")


def annotation(*objects: Dataset, layer: str = "SHAPES", texts: tuple[Dataset, ...] = (), **more: object) -> Dataset:
    made = item(GraphicLayer=layer, **more)
    if objects:
        made.GraphicObjectSequence = sequence(*objects)
    if texts:
        made.TextObjectSequence = sequence(*texts)
    return made


def state(*annotations: Dataset, layers: tuple[str, ...] = ()) -> Dataset:
    ds = instance(SOPClassUID=PRESENTATION, Modality="PR")
    ds.GraphicAnnotationSequence = sequence(*annotations)
    named = enumerate(layers, start=1)
    ds.GraphicLayerSequence = sequence(*(item(GraphicLayer=one, GraphicLayerOrder=order) for order, one in named))
    return ds


def kinds(ds: Dataset) -> list[str]:
    return [
        one.GraphicType
        for each in ds.get("GraphicAnnotationSequence", [])
        for one in each.get("GraphicObjectSequence", [])
    ]


@pytest.fixture(params=["safe_harbor", "longitudinal"])
def engine(request, pseudonymizer):
    return HeaderEngine(Profile.named(request.param), pseudonymizer, CutsKnown())


def test_layers_are_named_anew_and_annotations_still_point_to_theirs(engine):
    source = state(
        annotation(drawn("CIRCLE", CIRCLE), layer="DRZBRZEZNY"),
        annotation(texts=(words(),), layer="NOTES OKO"),
        annotation(drawn("POINT", [1.0, 2.0]), layer="DRZBRZEZNY "),
        layers=("UNUSED KIM", "NOTES OKO", "DRZBRZEZNY"),
    )
    _, written, ds = cleaned(engine, source)
    assert [one.GraphicLayer for one in ds.GraphicAnnotationSequence] == ["LAYER1", "LAYER2", "LAYER1"]
    assert [one.GraphicLayer for one in ds.GraphicLayerSequence] == ["LAYER3", "LAYER2", "LAYER1"]
    assert not any(name in written for name in (b"ZBRZEZ", b"OKO", b"KIM"))


def test_the_layer_of_an_overlay_has_the_new_name_too(engine):
    source = state(annotation(drawn("CIRCLE", CIRCLE), layer="DRZBRZEZNY"), layers=("DRZBRZEZNY",))
    source.add_new(0x60001001, "CS", "DRZBRZEZNY")
    _, written, ds = cleaned(engine, source)
    assert ds[0x60001001].value == "LAYER1"
    assert b"ZBRZEZ" not in written


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("POLYLINE", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ("POLYLINE", [1.0, 2.0, 3.0, 4.0]),
        ("INTERPOLATED", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ("POINT", [1.0, 2.0, 3.0, 4.0]),
        ("CIRCLE", [*CIRCLE, 1.0, 2.0]),
        ("SCRIBBLE", [1.0, 2.0]),
        ("", [1.0, 2.0]),
    ],
)
def test_what_may_be_handwriting_goes_and_an_annotation_says_so(engine, kind, numbers):
    result, _, ds = cleaned(engine, state(annotation(drawn(kind, numbers))))
    [left] = ds.GraphicAnnotationSequence
    assert "GraphicObjectSequence" not in left
    assert [text.UnformattedTextValue for text in left.TextObjectSequence] == ["REMOVED"]
    assert any("(0070,0009)" in label and done == "remove" for label, done in result.actions)


@pytest.mark.parametrize(("kind", "numbers"), [("POINT", [1.0, 2.0]), ("CIRCLE", CIRCLE), ("ELLIPSE", ELLIPSE)])
def test_plain_marks_stay_as_they_are(engine, kind, numbers):
    _, _, ds = cleaned(engine, state(annotation(drawn(kind, numbers), drawn("POLYLINE", CIRCLE * 2))))
    assert kinds(ds) == [kind]
    assert list(ds.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData) == numbers


def test_an_annotation_that_had_only_writing_goes_when_another_one_stays(engine):
    writing, mark = annotation(drawn("POLYLINE", CIRCLE)), annotation(drawn("CIRCLE", CIRCLE))
    _, _, ds = cleaned(engine, state(writing, mark))
    assert len(ds.GraphicAnnotationSequence) == 1
    assert kinds(ds) == ["CIRCLE"]


def test_no_more_dots_stay_than_a_letter_has(engine):
    dots = [drawn("POINT", [float(column), 2.0]) for column in range(MOST_OBJECTS)]
    _, _, ds = cleaned(engine, state(annotation(*dots), annotation(*dots), annotation(*dots)))
    assert len(kinds(ds)) == MOST_OBJECTS


def test_a_text_stays_when_the_writing_beside_it_goes(engine):
    _, _, ds = cleaned(engine, state(annotation(drawn("POLYLINE", CIRCLE), texts=(words(),))))
    [left] = ds.GraphicAnnotationSequence
    assert "GraphicObjectSequence" not in left
    assert left.TextObjectSequence[0].UnformattedTextValue == "nodule"


def test_compound_graphics_go(engine):
    compound = item(CompoundGraphicType="POLYLINE", GraphicData=[1.0, 2.0, 3.0, 4.0])
    source = state(annotation(texts=(words(),), CompoundGraphicSequence=sequence(compound)))
    result, _, ds = cleaned(engine, source)
    assert "CompoundGraphicSequence" not in ds.GraphicAnnotationSequence[0]
    assert any("(0070,0209)" in label and done == "remove" for label, done in result.actions)


def test_without_the_graphics_option_the_annotation_is_a_dummy_in_the_first_layer(pseudonymizer):
    profile = Profile.named("safe_harbor")
    without = replace(profile, options=profile.options - {"clean_graphics"})
    engine = HeaderEngine(without, pseudonymizer, CutsKnown())
    _, written, ds = cleaned(engine, state(annotation(drawn("POLYLINE", CIRCLE), layer="DRKIM"), layers=("DRKIM",)))
    assert [one.GraphicLayer for one in ds.GraphicAnnotationSequence] == ["LAYER1"]
    assert [one.GraphicLayer for one in ds.GraphicLayerSequence] == ["LAYER1"]
    assert b"KIM" not in written


def test_coordinates_of_a_report_stay(engine):
    source = instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")
    source.ContentSequence = sequence(
        item(ValueType="SCOORD", GraphicData=[1.0, 2.0, 3.0, 4.0], GraphicType="POLYLINE")
    )
    _, _, ds = cleaned(engine, source)
    assert list(ds.ContentSequence[0].GraphicData) == [1.0, 2.0, 3.0, 4.0]
