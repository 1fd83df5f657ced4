"""The images' layers, built by their own commands in empty folders, and what starts in them.

No container engine is asked for: each RUN line is run as it stands, with the paths of the image below a folder of ours.
"""

import os
import pkgutil
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import apache_beam as beam
import pytest

from gradient_assets.assets.context import HospitalWork
from gradient_assets.dev.recipes import GoProgram, PartUnavailable, Recipe
from gradient_assets.dev.server import Server, free_port, listens
from gradient_assets.hospitals import load_registry
from gradient_assets.pipelines.known import gather
from gradient_assets.pipelines.metadata import CleanHeaders, ReadHeaders
from gradient_assets.tables import DEIDENTIFIED_METADATA, DICOM_METADATA, REFUSED_METADATA
from resources import Resources, Settings
from resources.engines.beam import BeamEngine
from tests.fakes import small_hospital
from tests.integration.both_ways import content, rows_of
from tests.integration.conftest import NO_SKIP
from tests.unit.deploy.manifests import DEPLOY, dockerfile, image_variables

pytestmark = pytest.mark.timeout(900)
ROOT = DEPLOY.parent
STAGES = dockerfile()
OF_THE_BASE = r"lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+|z)\.so\.\d+|ld-linux-x86-64\.so\.2|linux-vdso\.so\.1"
"""What python:slim holds: the C and C++ libraries, and zlib, which Python itself needs."""


TO_REACH_AN_INDEX = re.compile(r"PIP_.+|SSL_CERT_(FILE|DIR)|(https?|no)_proxy", re.IGNORECASE)
"""What of the host pip needs where its index is a mirror, or lies behind a proxy with certificates of its own."""


def bare(home):
    """The environment of a builder: where programs are, an empty home, and how pip comes to its index."""
    index = {name: value for name, value in os.environ.items() if TO_REACH_AN_INDEX.fullmatch(name)}
    # A cache in the empty home would fetch 2 GB anew for each change of the lock.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pip")
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PIP_CACHE_DIR": str(cache), **index}


def run(line, paths, environ):
    """A RUN line, with the image's paths replaced."""
    for of_image, here in paths.items():
        line = re.sub(rf"(?<![\w/.]){re.escape(of_image)}(?=[/\s;]|$)", str(here), line)
    done = subprocess.run(["sh", "-ec", line], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stderr[-3000:]}"


def copied(stage, build):
    """What the stage's COPY lines put into the build folder."""
    for kind, rest in STAGES[stage]:
        if kind == "COPY" and not rest.startswith("--from="):
            *sources, target = rest.split()
            for source in sources:
                place = build / target.removeprefix("/build").strip("/")
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)


class Packages(Recipe):
    """The layer with the locked packages: 2 GB, kept like the other parts."""

    lines = [rest for kind, rest in STAGES["packages"] if kind == "RUN"][:2]

    @property
    def title(self):
        return "image-packages"

    @property
    def ingredients(self):
        return (*self.lines, TO_REACH_AN_INDEX.pattern, (DEPLOY / "requirements.lock").read_text())

    def make(self, folder, place):
        lock = folder.with_name("requirements.lock")
        shutil.copy(DEPLOY / "requirements.lock", lock)
        home = folder.with_name("home")
        home.mkdir()
        for line in self.lines:
            # The builder's own cache is not to be filled; ours may be used.
            run(line.replace("--no-cache-dir ", ""), {"/opt/gradient": folder, "/build": folder.parent}, bare(home))


class Starter(GoProgram):
    """Beam's starter, as the stage `boot` builds it."""

    @classmethod
    def of_the_image(cls):
        ((_, line),) = [one for one in STAGES["boot"] if one[0] == "RUN"]
        variables, _, package = line.partition(" go install ")
        assert variables == "CGO_ENABLED=0 GOBIN=/opt/boot"
        return cls(*package.split("@"))


def have(recipe):
    try:
        return recipe.have()
    except PartUnavailable as missing:
        if NO_SKIP:
            raise
        pytest.skip(str(missing))


def linked(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def moved(programs, before, now):
    """Scripts name their interpreter by its path; the recipe made them in a folder beside its place."""
    for script in programs.iterdir():
        if script.is_file() and not script.is_symlink() and script.read_bytes().startswith(f"#!{before}".encode()):
            text = re.sub(r"\A#!.*", f"#!{now}/bin/python", script.read_text())
            script.unlink()  # it is the same file as the recipe's
            script.write_text(text)
            script.chmod(0o755)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The root folder of the image `platform`, and the variables of a process in it."""
    root = tmp_path_factory.mktemp("image")
    packages = root / "opt/gradient"
    made = have(Packages())
    shutil.copytree(made, packages, symlinks=True, copy_function=linked)
    moved(packages / "bin", made.parent, packages)
    (root / "build").mkdir()
    copied("packages", root / "build")
    paths = {"/opt/gradient": packages, "/build": root / "build"}
    environ = bare(root)
    for line in [rest for kind, rest in STAGES["packages"] if kind == "RUN"][2:]:
        run(line, paths, environ)
    folders = {path: root / path.strip("/") for path in ("/var/lib/gradient", "/etc/gradient/dagster")}
    for line in [rest for kind, rest in STAGES["platform"] if kind == "RUN"]:
        run(line if os.geteuid() == 0 else re.sub(r" -[og] \d+", "", line), folders, environ)
    image_environ = {
        name: re.sub(r"/(opt/gradient|etc/gradient|var/lib/gradient)", rf"{root}/\1", value)
        for name, value in image_variables().items()
    }
    return root, {**image_environ, "HOME": str(root)}


def in_image(image, *words, expect=0, **environ):
    root, variables = image
    path = {"PATH": variables["PATH"]}
    command = shutil.which(words[0], path=path["PATH"])
    assert command, words[0]
    assert Path(command).is_relative_to(root / "opt/gradient"), command
    done = subprocess.run(
        [command, *words[1:]], env={**variables, **environ}, cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def installed(image):
    root, _ = image
    return next((root / "opt/gradient/lib").glob("python3*/site-packages"))


def test_every_file_of_the_packages_is_in_the_image(image):
    site = installed(image)
    missing = [
        str(path.relative_to(ROOT))
        for package in ("gradient_assets", "resources")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not (site / path.relative_to(ROOT)).exists()
    ]
    assert missing == []


def test_the_folders_are_for_the_images_user_alone(image):
    home = image[0] / "var/lib/gradient"
    assert home.stat().st_mode & 0o777 == 0o700
    assert os.geteuid() != 0 or home.stat().st_uid == 10001


@pytest.mark.parametrize("program", ["gradient", "dagster", "dagster-webserver", "dagster-daemon"])
def test_each_program_starts(image, program):
    assert re.search(r"\d+\.\d+", in_image(image, program, "--version"))


def test_the_graph_and_what_the_settings_name_can_be_loaded(image):
    ours = "gradient_assets.deployment.launching, gradient_assets.deployment.step_output"
    names = f"dagster_postgres, dagster_k8s, psycopg2, {ours}"
    said = in_image(
        image,
        "python",
        "-c",
        f"import {names}; from gradient_assets import definitions as d; print(len(d.ASSETS), d.__file__)",
    )
    assert str(installed(image)) in said


def test_no_library_is_needed_that_the_base_has_not(image):
    site = installed(image)
    libraries = [str(path) for path in site.rglob("*.so*") if path.is_file()]
    said = subprocess.run(["ldd", *libraries], capture_output=True, text=True).stdout
    inside = {Path(path).name for path in libraries}
    needed = {Path(word).name for word in re.findall(r"^\t(\S+\.so\S*) ", said, re.M)} - inside
    assert [name for name in sorted(needed) if not re.fullmatch(OF_THE_BASE, name)] == []


def test_a_package_that_only_tests_need_is_not_there(image):
    for name in ("pytest", "moto", "playwright", "hypothesis"):
        assert not (installed(image) / name).exists()


def test_the_workers_starter_is_built_and_asks_for_its_orders():
    starter = have(Starter.of_the_image())
    done = subprocess.run([str(starter / "container")], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "No id provided" in done.stderr


def test_the_documented_build_commands_name_the_stages():
    page = (ROOT / "docs/deployment.md").read_text() + (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"docker build (.+)", page):
        words = shlex.split(line.rstrip())
        assert words[words.index("-f") + 1] == "deploy/Dockerfile"
        assert words[words.index("--target") + 1] in STAGES


@pytest.fixture(scope="module")
def engine(image, prism, tmp_path_factory):
    """Prism, with workers of the worker image: its variables, its starter, its packages, and nothing of this checkout."""
    root, variables = image
    pool = free_port()
    starter = have(Starter.of_the_image()) / "container"
    environ = {**variables, **image_variables("worker")}
    assert not environ.keys() & {"PYTHONPATH", "PYTHONHOME"}
    # The starter, with --worker_pool, does no more than this, on a port that is always the same.
    served = ["python", "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={pool}"]
    # `python -m` takes modules from where it is started: that is not to be the checkout.
    command = ["env", "-i", f"--chdir={root}", *(f"{k}={v}" for k, v in environ.items()), *served]
    server = Server(
        [*command, f"--container_executable={starter}"],
        log=tmp_path_factory.mktemp("pool") / "pool.log",
        healthy=lambda: listens(pool),
        deadline_s=120,
    )
    server.start()
    outside = ("--environment_type=EXTERNAL", f"--environment_config=localhost:{pool}")
    yield BeamEngine("prism", (*prism.options, *outside), progress_s=0.5)
    server.stop()


def test_a_worker_of_the_image_has_its_packages_and_none_of_the_checkout(image, engine, tmp_path):
    site = installed(image)
    written = tmp_path / "written"
    names = ["gradient_assets:__file__", "resources:__file__", "pydicom:__file__", "sys:prefix"]

    def build(pipeline):
        found = pipeline | beam.Create(names) | beam.Reshuffle() | beam.Map(pkgutil.resolve_name)
        _ = found | beam.io.WriteToText(str(written), num_shards=1)

    engine.run(build, name="image")
    (text,) = tmp_path.glob("written*")
    packages = [str(site / name / "__init__.py") for name in ("gradient_assets", "pydicom", "resources")]
    assert sorted(text.read_text().splitlines()) == sorted([str(image[0] / "opt/gradient"), *packages])


def headers_of(home, engine):
    """The stages that read and clean headers, as the assets run them; returns what their tables hold."""

    class OnEngine(Resources):
        beam = engine

    resources = OnEngine(Settings.from_environment({"GRADIENT_HOME": str(home)}))
    work = HospitalWork.of("st-mary", load_registry(home / "hospitals.yaml", home=home), resources, "run", print)
    bucket = work.bucket("dicoms")
    read = ReadHeaders(work.hospital, bucket, work.profile)
    counts = [work.stage.run(read, work.source.objects(bucket.listing(), read.version))]
    known = gather(work.warehouse, "st-mary")
    clean = CleanHeaders(work.hospital, work.profile, work.identity)
    items = work.source.headers(known, work.profile, clean.version)
    counts.append(work.stage.run(clean, items, everyone=known.everyone()))
    tables = {
        spec.name: sorted(map(content, rows_of(resources.warehouse, spec)))
        for spec in (DICOM_METADATA, REFUSED_METADATA, DEIDENTIFIED_METADATA)
    }
    return [(one.processed, one.rows_out, dict(one.quarantined_by_reason)) for one in counts], tables


def test_the_worker_image_reads_and_cleans_headers_as_this_process_does(engine, tmp_path):
    """Four instances and an object that is none, through the two stages, by the package that the image has."""
    ours = small_hospital.build(tmp_path / "ours")
    theirs = shutil.copytree(ours, tmp_path / "theirs")
    expected, found = headers_of(ours, BeamEngine()), headers_of(theirs, engine)
    instances = len(small_hospital.IMAGES)
    assert expected[0] == [(instances + 1, instances, {"not_dicom": 1}), (instances, instances, {})]
    assert found == expected
