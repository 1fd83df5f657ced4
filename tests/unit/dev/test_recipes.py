"""What is fetched once: whole or not at all, by one process, under a name that its content depends on."""

import shutil
import threading
from dataclasses import dataclass, field

import pytest

from gradient_assets.dev import recipes
from gradient_assets.dev.recipes import GoProgram, Jars, PartUnavailable, PythonPrograms, Recipe, SourceArchive, Tool


@dataclass
class Written(Recipe):
    """Writes a file, a number of times counted; `fails` halfway where asked to."""

    fails: bool = False
    made_with: tuple[Tool, ...] = ()
    run_with: tuple[Tool, ...] = ()
    made: list[int] = field(default_factory=list)

    title = "written 1.0"
    ingredients = ("written", "1.0")

    def make(self, folder, place):
        self.made.append(1)
        (folder / "half").write_text("half")
        if self.fails:
            raise PartUnavailable("the package manager said no")
        (folder / "whole").write_text("whole")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIENT_PARTS", str(tmp_path / "parts"))
    return tmp_path / "parts"


def test_a_part_is_made_once_and_said_once():
    recipe, said = Written(), []
    first = recipe.have(said.append)
    assert (first / "whole").read_text() == "whole"
    assert recipe.have(said.append) == first
    assert (len(recipe.made), said) == (1, ["fetching written 1.0 …"])


def test_a_part_that_fails_leaves_nothing_and_is_made_at_the_next_try(cache):
    with pytest.raises(PartUnavailable, match="said no"):
        Written(fails=True).have()
    assert [path for path in cache.iterdir() if not path.name.endswith(".lock")] == []
    assert (Written().have() / "whole").exists()


def test_processes_that_want_the_same_part_make_it_once():
    recipe = Written()
    threads = [threading.Thread(target=recipe.have) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recipe.made) == 1


ABSENT = (Tool("no-such-program", "install it from nowhere"),)


@pytest.mark.parametrize("needs", [{"made_with": ABSENT}, {"run_with": ABSENT}], ids=["to be made", "to run"])
def test_a_missing_tool_is_named_with_what_to_install_before_anything_is_made(needs):
    recipe = Written(**needs)
    with pytest.raises(PartUnavailable, match="no-such-program is absent: install it from nowhere"):
        recipe.have()
    assert recipe.made == []


def test_what_lies_in_the_cache_needs_no_more_than_what_it_runs_with():
    place = Written().have()
    assert Written(made_with=ABSENT).have() == place
    with pytest.raises(PartUnavailable, match="no-such-program is absent"):
        Written(run_with=ABSENT).have()


@pytest.mark.parametrize(
    ("recipe", "kept"),
    [
        (GoProgram("example.org/a/b", "v1"), []),
        (Jars("jars", "g:a:1"), ["java"]),
        (SourceArchive("archive", "1"), ["java"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_built_runs_without_its_tool_chain(recipe, kept):
    assert {tool.program for tool in recipe.tools} - set(kept) <= {"go", "mvn"}
    recipe.place().mkdir(parents=True)
    assert [tool.program for tool in recipe.tools] == kept


@pytest.mark.parametrize(
    "recipe",
    [GoProgram("example.org/a/b", "v1"), Jars("jars", "g:a:1"), SourceArchive("archive", "1")],
    ids=lambda recipe: type(recipe).__name__,
)
def test_each_recipe_says_what_it_needs(recipe, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(PartUnavailable, match="is absent: install "):
        recipe.have()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (GoProgram("example.org/a/b", "v1"), GoProgram("example.org/a/b", "v2")),
        (GoProgram("example.org/a/b", "v1"), GoProgram("example.org/c/b", "v1")),
        (PythonPrograms("p", ("p==1", "q==1")), PythonPrograms("p", ("p==1", "q==2"))),
        (PythonPrograms("p", ("p==1",)), PythonPrograms("p", ("p==1",), then="pass")),
        (Jars("j", "g:a:1"), Jars("j", "g:a:1", ("g:b:2",))),
    ],
)
def test_another_pin_is_another_folder(one, other):
    assert one.place() != other.place()


def test_a_package_manager_that_fails_is_told_with_its_last_lines():
    with pytest.raises(PartUnavailable, match=r"(?s)sh -c .* failed:\nline 2\n.*line 16$"):
        recipes.run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo line $i; done; exit 1"])


def test_the_cache_lies_with_the_users_other_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("GRADIENT_PARTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert recipes.cache_folder() == tmp_path / "gradient-parts"
