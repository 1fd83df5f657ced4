"""Archives that become one: lists are joined, signatures go, the first of two files stays."""

import zipfile

import pytest

from gradient_assets.dev.one_jar import write_one_jar

SERVICE = "META-INF/services/org.example.Runner"


@pytest.fixture
def merged(tmp_path):
    contents = {
        "a": {"org/A.class": b"a", "both.txt": b"first", SERVICE: b"org.A", "reference.conf": b"a = 1"},
        "b": {
            "org/B.class": b"b",
            "both.txt": b"second",
            SERVICE: b"org.B",
            "reference.conf": b"b = 2",
            "META-INF/B.SF": b"signed",
            "META-INF/B.RSA": b"signed",
            "META-INF/MANIFEST.MF": b"Main-Class: B",
            "META-INF/versions/9/module-info.class": b"module",
        },
    }
    for name, files in contents.items():
        with zipfile.ZipFile(tmp_path / f"{name}.jar", "w") as archive:
            archive.mkdir("META-INF/services/")
            for path, content in files.items():
                archive.writestr(path, content)
    write_one_jar(tmp_path.glob("*.jar"), tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len(archive.namelist()) == len(set(archive.namelist()))
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_class_is_there_and_of_two_files_the_first(merged):
    assert merged["org/A.class"] == b"a"
    assert merged["org/B.class"] == b"b"
    assert merged["both.txt"] == b"first"


@pytest.mark.parametrize(("name", "lines"), [(SERVICE, [b"org.A", b"org.B"]), ("reference.conf", [b"a = 1", b"b = 2"])])
def test_what_each_library_adds_to_is_joined(merged, name, lines):
    assert merged[name].split() == b" ".join(lines).split()


def test_what_describes_one_archive_alone_is_left_out(merged):
    assert set(merged) == {"org/A.class", "org/B.class", "both.txt", SERVICE, "reference.conf"}
