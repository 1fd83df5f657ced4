"""What the documentation names exists: files, anchors, commands, options, make targets, variables, Python versions."""

import re
import shlex
import textwrap
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

from gradient_assets import deid
from gradient_assets.cli import COMMANDS, cli
from resources.settings import SETTINGS

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
VARIABLES = {setting.name for setting in SETTINGS} | {"GRADIENT_HOSPITALS", "GRADIENT_PROCESSES"}
NEEDED = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")

FENCE = re.compile(r"^```.*?\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def code(text):
    """Lines of code blocks, continued ones joined and without comments, and code within sentences."""
    blocks = [block.replace("\\\n", " ") for block in FENCE.findall(text)]
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return lines + INLINE.findall(FENCE.sub("", text))


def links(text):
    return [link for link in LINK.findall(FENCE.sub("", text)) if not re.match(r"[a-z]+:", link)]


def anchors(text):
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def gradient_lines(text):
    """Words after `gradient` of each command line."""
    for line in code(text):
        found = re.match(r"(?:\.venv/bin/)?gradient ([a-z].*)", line)
        if found:
            yield shlex.split(found[1])


@cache
def options_of(command, subcommand=""):
    """Of a command, or of its subcommand where it is a group."""
    found = cli.get_command(click.Context(cli), command)
    if isinstance(found, click.Group):
        found = found.get_command(click.Context(found), subcommand) or found
    return {option for parameter in found.params for option in parameter.opts} | {"--help", "-h"}


def unknown_commands(text):
    return [words[0] for words in gradient_lines(text) if words[0] not in COMMANDS]


def unknown_options(text):
    return [
        f"{words[0]} {word}"
        for words in gradient_lines(text)
        for word in words[1:]
        if words[0] in COMMANDS
        and re.match(r"--?[A-Za-z]", word)
        and word.partition("=")[0] not in options_of(*words[:2])
    ]


def unknown_targets(text):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = [word for line in code(text) if line.startswith("make ") for word in line.split()[1:] if "=" not in word]
    return [word for word in named if word not in targets]


def unknown_variables(text):
    return sorted(set(re.findall(r"GRADIENT_[A-Z][A-Z0-9_]*", text)) - VARIABLES)


def missing_links(page, text):
    missing = []
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            missing.append(link)
    return missing


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request):
    return request.param


@pytest.fixture
def text(page):
    return page.read_text(encoding="utf-8")


def test_links_and_pictures_lead_somewhere(page, text):
    assert missing_links(page, text) == []


def test_commands_exist(text):
    assert unknown_commands(text) == []


def test_options_exist(text):
    assert unknown_options(text) == []


def test_make_targets_exist(text):
    assert unknown_targets(text) == []


def test_variables_exist(text):
    assert unknown_variables(text) == []


@pytest.mark.parametrize(
    ("look", "good", "bad"),
    [
        (unknown_commands, "`gradient run`", "`gradient fly`"),
        (unknown_options, "```\ngradient run \\\n  -H x\n```", "```\ngradient run \\\n  --fast\n```"),
        (unknown_options, "`gradient release --where=x`", "`gradient search --where=x`"),
        (unknown_options, "`gradient quarantine drop --why=x`", "`gradient quarantine list --why=x`"),
        (unknown_targets, "`make PYTHON=python3 demo`", "`make coffee`"),
        (unknown_variables, "GRADIENT_HOME", "GRADIENT_NOWHERE"),
        (lambda text: missing_links(ROOT / "README.md", text), "[x](Makefile)", "[x](docs/nowhere.md)"),
        (lambda text: missing_links(ROOT / "README.md", text), "[x](#read-on)", "[x](#nowhere)"),
    ],
)
def test_each_look_can_fail(look, good, bad):
    assert not look(good)
    assert look(bad)


@pytest.mark.parametrize("name", NEEDED)
def test_the_page_is_there(name):
    assert (ROOT / name) in PAGES


def test_the_readme_lists_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {words[0] for words in gradient_lines(text)} == set(COMMANDS)


def test_the_readmes_python_versions_are_pyprojects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest, end = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()
    versions = " or ".join(f"3.{minor}" for minor in range(int(lowest), int(end)))
    assert f"Python {versions} and make" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_is_the_packages_own():
    lines = textwrap.dedent(
        "\n".join(line for line in deid.__doc__.splitlines() if line.startswith("    "))
    ).splitlines()
    example = [line for line in lines if line.strip() and "import" not in line]
    written = (ROOT / "docs/research.md").read_text(encoding="utf-8").splitlines()
    first = written.index(example[0])
    assert [line for line in written[first:] if line.strip()][: len(example)] == example
