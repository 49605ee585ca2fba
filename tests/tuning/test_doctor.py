"""natrl doctor: what it finds, and each thing that can be wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib.metadata import version
from pathlib import Path

import ray

import natrl
from natrl.commands.start import next_steps
from natrl.tuning import doctor
from natrl.tuning.doctor import check_devices, check_disk, check_limits, check_packages, check_ray
from tests.commands.cli import run

Usage = namedtuple("Usage", "total used free")


def test_what_it_finds(ray_session, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "check_limits", list)  # this machine's are not the matter
    code = run("doctor", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["natrl"] == natrl.__version__
    assert found["versions"]["torch"] == version("torch")
    assert found["ray"]["CPU"] == ray.cluster_resources()["CPU"]
    assert found["ray"]["nodes"] == 1
    assert found["devices"][-1]["cores"] == os.cpu_count()
    assert min(found["disk"].values()) > 0
    assert code == bool(found["problems"])


def test_a_problem_is_told_and_is_the_exit_code(ray_session, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "check_limits", lambda: ["no room"])
    assert run("doctor") == 1
    said = capsys.readouterr().out
    assert "wrong: no room" in said
    assert f"torch {version('torch')}" in " ".join(said.split())


def test_versions_that_do_not_fit(monkeypatch):
    wanted = ["torch>=99", "no-such-package>=1", "rich>=1", 'nor-this>=2; extra == "docs"', 'numpy>=99; extra == "rl"']
    monkeypatch.setattr(doctor, "requires", lambda name: wanted)
    found, problems = check_packages()
    assert found["rich"] == version("rich")
    assert found["no-such-package"] == "missing"
    assert "nor-this" not in found
    assert problems == [
        f"torch is {version('torch')}, natrl needs torch>=99: pip install 'torch>=99'",
        "no-such-package is missing: pip install 'no-such-package>=1'",
        f"numpy is {version('numpy')}, natrl needs numpy>=99: pip install 'numpy>=99'",
    ]


def test_a_full_disk_and_little_shared_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**8, 0, 2 * 10**9))
    assert check_disk([tmp_path, tmp_path]) == (
        {str(tmp_path): 2.0},
        [f"{tmp_path} has 2.0 GB free; runs and Ray's logs want 5"],
    )
    if Path("/dev/shm").is_dir():
        assert any("/dev/shm holds 0.1 of" in problem for problem in check_limits())


def test_a_gpu_that_torch_does_not_see(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    devices, (problem,) = check_devices()
    assert [set(device) for device in devices] == [{"name", "cores"}]
    assert "sees no GPU" in problem


def test_no_cluster_at_the_address(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    resources, (problem,) = check_ray("127.0.0.1:1")
    assert resources == {}
    assert problem.startswith("no Ray at address '127.0.0.1:1'")


def test_next_steps(tmp_path):
    def commands() -> list[str]:
        return [command for command, _ in next_steps(tmp_path)]

    assert commands()[0] == "natrl demo"
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    assert commands() == ["natrl train --resume runs/first"]
    (run / "policy").mkdir()
    assert commands() == ["natrl transform ARCH --policy runs/first", "natrl report runs/first"]


def test_completion_knows_commands_and_architectures():
    """In a process of its own, as shells ask: a second each."""

    def completed(line: str) -> list[str]:
        environment = os.environ | {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        environment["_NATRL_COMPLETE"] = "complete_bash"
        code = "from natrl.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        return done.stdout.split()

    assert completed("natrl tr") == ["train", "transform"]
    assert "NATv2_VGG" in completed("natrl show NATv2")
