"""The cluster files in docs/ are what Ray and Kubernetes take. Nothing is started with them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray
import yaml
from typer.testing import CliRunner

from gansweep.cli import app

FOLDER = Path(__file__).parents[1] / "docs" / "cluster"
# the fields of KubeRay's v1 types that exist in every release since 1.3, see rayjob_types.go and raycluster_types.go of
# ray-project/kuberay; its CRD repeats Kubernetes' whole pod schema three times and is not kept here
JOB = {
    *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata", "clusterSelector"),
    *("submitterConfig", "managedBy", "entrypoint", "runtimeEnvYAML", "jobId", "submissionMode", "entrypointResources"),
    *("entrypointNumCpus", "entrypointNumGpus", "ttlSecondsAfterFinished", "shutdownAfterJobFinishes", "suspend"),
}
CLUSTER = {
    *("headGroupSpec", "workerGroupSpecs", "rayVersion", "enableInTreeAutoscaling", "autoscalerOptions"),
    *("headServiceAnnotations", "suspend"),
}
HEAD = {"serviceType", "headService", "enableIngress", "rayStartParams", "template"}
WORKERS = {
    *("groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "rayStartParams", "template"),
    "scaleStrategy",
}
AUTOSCALER = {
    *("resources", "image", "imagePullPolicy", "env", "envFrom", "volumeMounts", "securityContext"),
    *("idleTimeoutSeconds", "upscalingMode"),
}


@pytest.fixture
def up() -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / "ray-up.yaml").read_text()))


@pytest.fixture
def kuberay() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text()))


def launches(text: str) -> list[str]:
    """Every `gansweep launch` command in a text."""
    joined = re.sub(r"\\\n#?\s*", " ", text)
    return re.findall(r"gansweep launch [^\n\"]*", joined)


def test_the_ray_up_file_fits_rays_schema(up: dict[str, Any]) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(up, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**up, "max_worker": 2}, schema)
    assert up["head_node_type"] in up["available_node_types"]


def test_the_kubernetes_objects_fit_their_schemas(kuberay: list[dict[str, Any]]) -> None:
    claim, job = kuberay
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(claim, version, strict=True)
    spec = job["spec"]
    cluster = spec["rayClusterSpec"]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for found, known in [
        (spec, JOB),
        (cluster, CLUSTER),
        (groups[0], HEAD),
        *((group, WORKERS) for group in groups[1:]),
    ]:
        assert set(found) <= known
    assert set(cluster["autoscalerOptions"]) <= AUTOSCALER
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        kubernetes_validate.validate(pod, version, strict=True)
        wrong = {**pod, "spec": {**pod["spec"], "terminationGracePeriod": 60}}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, version, strict=True)
    mounted = cluster["headGroupSpec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert mounted == claim["metadata"]["name"]
    assert cluster["rayVersion"] == ray.__version__


@pytest.mark.parametrize("file", ["cluster/ray-up.yaml", "cluster/kuberay.yaml", "cluster.md"])
def test_every_command_shown_has_options_that_exist(file: str) -> None:
    text = (FOLDER.parent / file).read_text()
    if file.endswith("kuberay.yaml"):
        text = list(yaml.safe_load_all(text))[1]["spec"]["entrypoint"]
    helped = CliRunner().invoke(app, ["launch", "--help"], terminal_width=200).output
    commands = launches(text)
    assert commands
    for command in commands:
        for option in [word for word in shlex.split(command) if word.startswith("--")]:
            assert option in helped, f"{option} of: {command}"


@pytest.mark.parametrize("file", ["ray-up.yaml", "kuberay.yaml"])
def test_what_was_not_run_says_so(file: str) -> None:
    assert "NOT RUN" in (FOLDER / file).read_text()
