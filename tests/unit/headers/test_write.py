"""The container that is written: one meta, no preamble, no group lengths, even lengths, and nothing half written."""

import io
import struct

import pydicom
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import BaseTag

from gradient_assets.deid.headers import columns_of, read_dataset, write_dataset
from gradient_assets.deid.headers.write import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, new_file_meta
from gradient_assets.deid.reasons import Reason, Refused
from tests.unit.headers.instances import as_bytes, instance, item, sequence

SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]


def written(ds: Dataset, syntax: str = SYNTAXES[1]) -> bytes:
    stored = read_dataset(as_bytes(ds, syntax))
    stored.file_meta = new_file_meta(stored, columns_of(stored), str.strip)
    return write_dataset(stored)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_written_reads_the_same(syntax):
    ds = instance(
        ReferencedImageSequence=sequence(item(ReferencedSOPInstanceUID="1.2.3"), item()), PatientWeight="70.5", Rows=7
    )
    back = pydicom.dcmread(io.BytesIO(written(ds, syntax)))
    assert back.file_meta.TransferSyntaxUID == syntax
    assert {element.tag: element.value for element in back} == {element.tag: element.value for element in ds}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_container_is_even_and_names_its_writer(syntax):
    content = written(instance(), syntax)
    meta = pydicom.dcmread(io.BytesIO(content)).file_meta
    assert len(content) % 2 == 0
    assert content[:132] == b"\0" * 128 + b"DICM"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert struct.unpack("<L", content[140:144])[0] == meta.FileMetaInformationGroupLength


def test_group_lengths_are_not_written():
    ds = instance()
    ds.add_new(0x00080000, "UL", 4711)
    assert 0x00080000 not in pydicom.dcmread(io.BytesIO(written(ds)))


def test_a_value_too_long_for_its_vr_is_still_readable():
    stored = read_dataset(as_bytes(instance()))
    tag = BaseTag(0x00104000)
    stored._dict[tag] = RawDataElement(tag, "LT", 70_000, b"x" * 70_000, 0, False, True)
    stored.file_meta = new_file_meta(stored, columns_of(stored), str.strip)
    assert pydicom.dcmread(io.BytesIO(write_dataset(stored)))[tag].value[:70_000] == b"x" * 70_000


class Unwritable:
    def __str__(self) -> str:
        return "Zymurgy"


def test_what_cannot_be_encoded_is_refused_and_not_quoted():
    ds = FileDataset("", instance(), b"\0" * 128, FileMetaDataset(), False, True)
    ds.file_meta = new_file_meta(read_dataset(as_bytes(instance())), columns_of(instance()), str.strip)
    ds.add(DataElement(0x00280010, "US", 7))
    ds[0x00280010]._value = Unwritable()
    with pytest.raises(Refused) as refusal:
        write_dataset(ds)
    assert refusal.value.reason is Reason.HEADER_ENGINE_FAILED
    assert "Zymurgy" not in str(refusal.value)


def test_a_transfer_syntax_that_nobody_knows_is_refused():
    ds = read_dataset(as_bytes(instance()))
    with pytest.raises(Refused) as refusal:
        new_file_meta(ds, columns_of(ds) | {"transfer_syntax_uid": "1.2.3.4"}, str.strip)
    assert refusal.value.reason is Reason.UNREADABLE_HEADER


@pytest.mark.parametrize("declared", ["", *SYNTAXES[:3]])
def test_a_native_syntax_that_contradicts_the_bytes_is_corrected(declared):
    ds = read_dataset(as_bytes(instance(), SYNTAXES[0]))
    assert (
        new_file_meta(ds, columns_of(ds) | {"transfer_syntax_uid": declared}, str.strip).TransferSyntaxUID
        == SYNTAXES[0]
    )
