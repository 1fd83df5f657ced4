"""The images, read from their Dockerfile: what comes in, who runs, what starts."""

import re
import tomllib
from fnmatch import fnmatch

import pytest

from resources import SETTINGS
from tests.unit.deploy.manifests import DEPLOY, compose, dockerfile, image_variables

ROOT = DEPLOY.parent
STAGES = dockerfile()
OF_STAGES = ("packages", "platform", "boot", "worker")


def rests(stage, word):
    return [rest for kind, rest in STAGES[stage] if kind == word]


def pins(path):
    lines = (ROOT / path).read_text().splitlines()
    return dict(re.split("==", line.partition(" ;")[0], maxsplit=1) for line in lines if "==" in line)


def test_the_stages_are_these():
    assert tuple(STAGES) == OF_STAGES
    assert rests("worker", "FROM") == ["platform"]


@pytest.mark.parametrize("stage", [stage for stage in OF_STAGES if stage != "worker"])
def test_each_base_has_a_version(stage):
    (image,) = rests(stage, "FROM")
    assert re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+(-[a-z]+)+", image)


def test_python_is_one_that_the_package_takes():
    (image,) = rests("platform", "FROM")
    assert rests("packages", "FROM") == [image]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest, end = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    assert lowest <= int(re.search(r"3\.(\d+)", image)[1]) < end


def test_the_images_are_nobody_special():
    (user,) = rests("platform", "USER")
    number = user.partition(":")[0]
    assert int(number) > 0
    assert rests("worker", "USER") == []
    assert f"-o {number} " in " ".join(rests("platform", "RUN"))
    assert {one["user"] for one in compose()["services"].values() if "gradient" in one["image"]} == {user}


def ignored(path):
    """Whether the builder is not given the path: a later rule of the ignore file wins."""
    verdict = False
    for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines():
        rule = line.lstrip("!")
        parts = path.split("/")
        names = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        if (
            line
            and not line.startswith("#")
            and any(fnmatch(one, rule.removeprefix("**/")) for one in (*names, *parts))
        ):
            verdict = not line.startswith("!")
    return verdict


@pytest.mark.parametrize(
    "path",
    [
        "gradient_home/identified/secrets/hospital/st-mary.key",
        ".git/config",
        "deploy/compose/.env",
        "hospitals.yaml",
        "tests/conftest.py",
        "gradient_assets/__pycache__/x.pyc",
    ],
)
def test_what_is_not_named_does_not_reach_the_builder(path):
    assert ignored(path)


def test_what_is_copied_reaches_the_builder_and_is_there():
    sources = [
        source
        for stage in STAGES
        for rest in rests(stage, "COPY")
        if not rest.startswith("--from=")
        for source in rest.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert not ignored(source), source
        assert not re.search(r"home|secret|\.env|\.key|\*|^\.", source)


@pytest.mark.parametrize("stage", OF_STAGES)
def test_no_secret_is_built_in(stage):
    assert rests(stage, "ARG") == []  # what is given to a build stays in its history
    assert not [name for name in image_variables(stage) if re.search("PASSWORD|SECRET|TOKEN|KEY", name)]


@pytest.mark.parametrize("stage", OF_STAGES)
def test_each_variable_of_ours_exists(stage):
    ours = {name for name in image_variables(stage) if name.startswith("GRADIENT_")}
    assert ours <= {setting.name for setting in SETTINGS}


def test_the_worker_begins_with_beams_starter_at_beams_version():
    (entry,) = rests("worker", "ENTRYPOINT")
    assert entry == '["/opt/apache/beam/boot"]'
    (copied,) = rests("worker", "COPY")
    assert copied == "--from=boot /opt/boot/container /opt/apache/beam/boot"
    (run,) = rests("boot", "RUN")
    assert run.endswith(f"sdks/v2/python/container@v{pins('deploy/requirements.lock')['apache-beam']}")
    assert image_variables("worker")["RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT"] == "1"


def test_what_is_installed_is_what_the_tests_run_with():
    images, tests = pins("deploy/requirements.lock"), pins("requirements.lock")
    assert {name: tests.get(name) for name in images} == images


def test_what_a_deployment_needs_is_installed_and_what_tests_need_is_not():
    images = set(pins("deploy/requirements.lock"))
    assert images >= {
        "dagster-postgres",
        "psycopg2-binary",
        "dagster-k8s",
        "kubernetes",
        "dagster-webserver",
        "setuptools",
    }
    assert not images & {"pytest", "moto", "playwright", "mypy", "ruff", "hypothesis", "zetasql"}
