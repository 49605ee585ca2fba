"""Ray for a command: silent unless asked, and a clear word where there is none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from natrl.tuning.session import check_reachable

SCRIPT = """
import time

from natrl.tuning.session import ray_session

with ray_session(num_cpus=1, verbose=True):
    import ray

    @ray.remote
    def speak():
        print("a word from a worker")

    ray.get(speak.remote())
    time.sleep(1)  # logs travel to the driver in steps
"""


def test_v_brings_rays_messages_back():
    """In a Ray of its own, since sessions use one that runs: 6 s. tests/tuning/test_sweep.py has the silence."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "a word from a worker" in said
    assert "Started a local Ray instance" in said


def test_an_address_where_nothing_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(
            ConnectionError, match=rf"no Ray at address '{address}': .*refused; `ray status` on the head"
        ):
            check_reachable(address)
        free.listen()
        check_reachable(address)


@pytest.mark.parametrize("address", ["auto", "local"])
def test_addresses_that_ray_finds_itself(address):
    check_reachable(address)
