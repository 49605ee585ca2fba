"""Ray that ends under a command: noticed at once, one line, exit code 2, nothing left running."""

from __future__ import annotations

import os
import time

import pytest

pytest.importorskip("ray")

from ray.exceptions import RpcError

from natrl.tuning import watch
from tests.workers.programs import Program

PROGRAM = """
import os, sys, time
import ray
from natrl.tuning.session import ray_session

@ray.remote
def work():
    print(os.getpid(), file=open(os.environ["WORKER"], "w"), flush=True)
    time.sleep(600)

with ray_session(num_cpus=1, hint="go on with natrl train --resume runs/first"):
    never = work.remote()
    while not os.path.exists(os.environ["WORKER"]):
        time.sleep(0.1)
    time.sleep(1.5)  # as long as it takes to know the workers
    node = ray._private.worker._global_node
    os.kill(node.all_processes[sys.argv[1]][0].process.pid, 9)
    while "busy" in sys.argv:  # Ray would end it at the next one, without a word
        time.sleep(0.05)
        ray.put(bytes(200_000))
    ray.get(never)
"""
SERVICES = {"raylet busy": "its raylet", "gcs_server": "its GCS"}


def test_a_killed_raylet_or_gcs_ends_the_command_with_one_line(workers, tmp_path):
    """Both at a time, one that works and one that waits; it takes as long as Ray needs to start."""
    commands, errors = {}, {}
    for service in SERVICES:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment["WORKER"] = str(tmp_path / service)
        errors[service] = (tmp_path / f"{service}.errors").open("w+")
        commands[service] = Program(["-c", PROGRAM, *service.split()], tmp_path, environment, stderr=errors[service])
    for service, said in SERVICES.items():
        assert commands[service].ended(within_s=120)
        code = commands[service].close()
        with errors[service] as file:
            file.seek(0)
            printed = file.read()
        assert printed.strip() == (
            f"natrl: Ray is gone: {said} was killed by signal 9; go on with natrl train --resume runs/first"
        )
        assert code == 2
        wait_until_gone(int((tmp_path / service).read_text()))


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.05)


class Head:
    """Answers as told."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def check_alive(self, nodes, timeout):
        answer = self.answers.pop(0)
        if answer is None:
            raise RpcError("Timed out while waiting for GCS to become available.", 0)
        return [answer]


def test_a_joined_cluster_is_gone_when_its_head_is_silent_or_this_machine_is_not_part_of_it(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    cluster = watch._Cluster(Head(True, None, None, True, None, None, False), None)
    found = []
    for now[0] in (0.0, 10.0, 14.0, 20.0, 30.0, 36.0, 37.0):
        found.append(cluster.lost())
    silent = "its head has not answered for 16 s"
    assert found == [None, None, None, None, None, silent, "its raylet on this machine has ended"]


def test_a_head_that_starts_again_has_as_long_as_ray_waits_for_it(monkeypatch):
    monkeypatch.setenv(watch.RESTART, "300")
    now = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    cluster = watch._Cluster(Head(None, None), None)
    now[0] = 299.0
    assert cluster.lost() is None
    now[0] = 301.0
    assert cluster.lost() is not None
