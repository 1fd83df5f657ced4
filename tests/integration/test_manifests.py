"""The manifests as kustomize itself builds them: what `kubectl apply -k` would send."""

import subprocess
from pathlib import Path

import pytest
import yaml

from gradient_assets.dev.recipes import GoProgram, PartUnavailable
from tests.integration.conftest import NO_SKIP
from tests.unit.deploy.manifests import DEPLOY, OVERLAYS, environment, image_variables, pod_of
from tests.unit.deploy.test_manifests import MODELS, read, secrets_in


class Kustomize(GoProgram):
    """The tool inside kubectl."""

    @property
    def name(self):
        return "kustomize"


KUSTOMIZE = Kustomize("sigs.k8s.io/kustomize/kustomize/v5", "v5.7.1")


@pytest.fixture(scope="module", params=OVERLAYS)
def built(request):
    try:
        program = KUSTOMIZE.have() / "kustomize"
    except PartUnavailable as missing:
        if NO_SKIP:
            raise
        pytest.skip(str(missing))
    overlay = DEPLOY / "kubernetes" / request.param
    done = subprocess.run([str(program), "build", str(overlay)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert secrets_in(done.stdout) == []
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}


def test_each_object_is_one_that_kubernetes_knows_and_lies_in_the_namespace(built):
    for (kind, _), found in built.items():
        if kind in MODELS:
            assert read(found).kind == kind
        assert kind == "Namespace" or found["metadata"]["namespace"] == "gradient"


def test_our_image_is_one_and_pods_of_runs_get_it(built):
    pods = {name: pod_of(one)["spec"] for (_, name), one in built.items() if pod_of(one)}
    images = {name: pod["containers"][0]["image"] for name, pod in pods.items()}
    assert images.pop("postgres").startswith("postgres:")
    (image,) = set(images.values())
    assert image.endswith("/gradient:0.1.0")
    environ = {one["name"]: one.get("value") for one in pods["code"]["containers"][0]["env"]}
    assert environ["DAGSTER_CURRENT_IMAGE"] == image


@pytest.mark.parametrize("name", ["code", "verify", "search"])
def test_a_pods_variables_are_those_that_the_tests_without_kustomize_open_its_stores_with(built, name):
    (pod,) = [pod_of(one)["spec"] for (_, named), one in built.items() if named == name and pod_of(one)]
    own = {one["name"]: one["value"] for one in pod["containers"][0].get("env", ()) if "value" in one}
    settings = built["ConfigMap", "gradient-settings"]["data"]
    expected = environment(settings["GRADIENT_ENV"], name)
    image = "DAGSTER_CURRENT_IMAGE"
    assert {**image_variables(), **settings, **own, image: ""} == {**expected, image: ""}


def test_each_map_that_is_named_is_made_and_the_secret_is_not(built):
    maps = {name for kind, name in built if kind == "ConfigMap"}
    named = set()
    for one in filter(None, map(pod_of, built.values())):
        named |= {volume["configMap"]["name"] for volume in one["spec"].get("volumes", ()) if "configMap" in volume}
        for source in one["spec"]["containers"][0].get("envFrom", ()):
            named |= {source["configMapRef"]["name"]} if "configMapRef" in source else set()
    runs = yaml.safe_load(built["ConfigMap", "gradient-dagster"]["data"]["dagster.yaml"])["run_launcher"]["config"]
    named |= {*runs["env_config_maps"], runs["instance_config_map"]}
    assert named == maps
    assert not [kind for kind, _ in built if kind == "Secret"]
    assert runs["service_account_name"] in {name for kind, name in built if kind == "ServiceAccount"}


def test_the_files_in_the_maps_are_those_of_the_folder(built):
    held = built["ConfigMap", "gradient-dagster"]["data"]
    for name in ("dagster.yaml", "workspace.yaml"):
        assert held[name] == Path(DEPLOY / "kubernetes/base" / name).read_text()
