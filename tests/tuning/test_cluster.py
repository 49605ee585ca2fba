"""Cluster files against Ray's own validator and scheduler, the RayJob against a schema, and a job on a local head."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import typer
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil

import natrl
from natrl.cli import app
from natrl.policies import load_policy
from natrl.tuning import train as train_script

ROOT = Path(natrl.__file__).parent.parent
CLUSTER = ROOT / "tuning" / "cluster"
LAUNCHER = ("aws", "gcp", "onpremise")
CLOUDS = ("aws", "gcp")
SCHEMA = yaml.safe_load((Path(__file__).parent / "rayjob_schema.yaml").read_text())


def config_of(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / f"{name}.yaml").read_text())


def validated(config: dict[str, Any]) -> dict[str, Any]:
    """As `ray up` does before it launches anything."""
    prepared = prepare_config(deepcopy(config))
    validate_config(prepared)
    return prepared


# Files of the cluster launcher


@pytest.mark.parametrize("name", LAUNCHER)
def test_rays_validator_takes_the_file(name):
    config = config_of(name)
    prepared = validated(config)
    assert prepared["cluster_name"] == "natrl"
    assert prepared["setup_commands"] == config["setup_commands"]
    for local in config["file_mounts"].values():
        assert (ROOT / local).exists(), local
    assert {"natrl", "envs", "tuning"} <= set(config["file_mounts"].values()), "the links of natrl/ need their targets"


@pytest.mark.parametrize("name", LAUNCHER)
def test_rays_validator_refuses_a_misspelt_key(name):
    config = config_of(name)
    config["setup_comands"] = config.pop("setup_commands")
    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        validated(config)


@pytest.mark.parametrize("name", CLOUDS)
def test_images_have_the_ray_that_natrl_is_tested_with(name):
    assert config_of(name)["docker"]["image"] == f"rayproject/ray:{ray.__version__}-py311-gpu"


def launched(name: str, gpus: int, **scheduling: Any) -> dict[str, int]:
    """How many workers of each type Ray's autoscaler would start for so many waiting actors of a quarter of a GPU."""
    types = AutoscalingConfig(validated(config_of(name)), skip_content_hash=True).get_node_type_configs()
    actors = ResourceRequestUtil.group_by_count([ResourceRequestUtil.make({"CPU": 1, "GPU": 0.25})] * 4 * gpus)
    waiting = {"resource_requests": actors, "max_num_nodes": 9, **scheduling}
    request = SchedulingRequest(disable_launch_config_check=True, node_type_configs=types, **waiting)
    reply = ResourceDemandScheduler().schedule(request)
    assert not reply.infeasible_resource_requests
    return {launch.instance_type: launch.count for launch in reply.to_launch if launch.instance_type != "head"}


@pytest.mark.parametrize("name", CLOUDS)
def test_workers_start_from_none_and_spot_comes_first(name):
    assert launched(name, 0) == {}
    assert launched(name, 3) == {"gpu_spot": 3}


@pytest.mark.parametrize("name", CLOUDS)
def test_on_demand_workers_where_spot_ones_could_not_be_had(name):
    assert launched(name, 3, recoverable_resource_availabilities={"gpu_spot": 0.0}) == {"gpu_on_demand": 3}


# The RayJob


def rayjob() -> dict[str, Any]:
    claim, job = yaml.safe_load_all((CLUSTER / "kuberay-rayjob.yaml").read_text())
    assert (claim["kind"], claim["spec"]["accessModes"]) == ("PersistentVolumeClaim", ["ReadWriteMany"])
    return job


def test_the_rayjob_follows_the_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    job = rayjob()
    jsonschema.validate(job, SCHEMA)
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == ray.__version__
    spot, on_demand = cluster["workerGroupSpecs"]
    assert spot["priority"] > on_demand.get("priority", 0)
    assert spot["replicas"] == on_demand["replicas"] == 0


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("spec", "rayClusterSpec"), "headGroupSpek"),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0), "maxReplica"),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 1, "template", "spec"), "container"),
        (("spec",), "entryPoint"),
    ],
)
def test_a_misspelt_key_of_the_rayjob_is_caught(path, wrong):
    job = rayjob()
    part: Any = job
    for key in path:
        part = part[key]
    part[wrong] = 1
    with pytest.raises(jsonschema.ValidationError, match=f"'{wrong}' was unexpected"):
        jsonschema.validate(job, SCHEMA)


# A job


@pytest.fixture
def head(tmp_path):
    """A Ray of its own on 127.0.0.2 (Ray rewrites 127.0.0.1), guarded by a token; starting it takes some 10 s."""
    token = tmp_path / "token"
    token.write_text("f" * 64)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    folder = Path("/tmp") / f"natrl-head-{os.getpid()}"  # sockets need short paths
    ports = {"port": 26379, "dashboard-port": 28265, "dashboard-agent-listen-port": 28266, "ray-client-server-port": 0}
    ports |= {"min-worker-port": 27000, "max-worker-port": 27999}
    arguments = ["--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.2", "--dashboard-host=127.0.0.2"]
    arguments += [f"--{name}={value}" for name, value in ports.items() if value] + [f"--temp-dir={folder}"]
    process = subprocess.Popen(
        ["ray", "start", *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not _answers(ports["dashboard-port"]):
            assert time.monotonic() < deadline
            assert process.poll() is None, "the head ended"
            time.sleep(0.1)
        yield environment
    finally:
        process.terminate()  # which ends all of its Ray
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.2", port)) == 0


#: Ray's head took a connection that its agent had closed, or closed one itself.
LOST = ("ServerDisconnectedError", "RemoteDisconnected")


@pytest.mark.skipif(" " in sys.executable, reason="Ray 2.60 does not quote Python's path where it starts a job")
def test_ray_job_submit_from_a_checkout(head, tmp_path):
    """As docs/cluster.md has it: the working directory travels, natrl trains on the cluster that the job runs in."""
    options = "--space nasbench201 --reward table:nasbench201 --iterations 2 --batch-size 8 -v"
    submit = ["ray", "job", "submit", "--address=http://127.0.0.2:28265", "--working-dir=.", "--"]
    for attempt in range(3):
        run = tmp_path / f"run{attempt}"  # a lost job may have begun
        train = ["python", "-m", "natrl", "train", *options.split(), "--out", str(run)]
        done = subprocess.run([*submit, *train], cwd=ROOT, env=head, capture_output=True, text=True, timeout=240)
        if not any(lost in done.stderr for lost in LOST):
            break
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"natrl transform ARCH --policy {run}" in done.stdout
    assert "Connected to Ray cluster" in done.stdout  # -v
    assert load_policy(run).space.name == "nasbench201"


def test_the_script_of_ray_submit_is_natrl_train_on_the_running_cluster(monkeypatch):
    handed_on: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: handed_on.append(command))
    train_script.main(["--out", "runs/first", "--actors", "16"])
    train_script.main(["--resume", "runs/first", "--address", "10.0.0.1:6379"])
    train = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    given = [train.make_context("train", command[4:]).params for command in handed_on]
    assert [command[:4] for command in handed_on] == [[sys.executable, "-m", "natrl", "train"]] * 2
    assert [(p["address"], p["actors"]) for p in given] == [("auto", 16), ("10.0.0.1:6379", None)]
