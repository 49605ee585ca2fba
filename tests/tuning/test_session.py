"""A clear word where there is no Ray. (test_sweep.py has its silence, test_cluster.py what -v shows.)"""

from __future__ import annotations

import socket

import pytest

from natrl.tuning.session import check_reachable, own_ray_options, ray_session


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


def test_a_ray_that_does_not_come_up(monkeypatch):
    def fail(**_):
        raise Exception("The current node timed out during startup.\nSee the logs.")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", fail)
    with (
        pytest.raises(ConnectionError, match=r"^Ray did not start on this machine: The current node .* startup\.$"),
        ray_session(),
    ):
        pass


@pytest.mark.parametrize("address", ["auto", "local"])
def test_addresses_that_ray_finds_itself(address):
    check_reachable(address)


@pytest.mark.parametrize(
    ("python", "given"), [("/usr/bin/python", {}), ("/my env/bin/python", {"py_executable": "'/my env/bin/python'"})]
)
def test_a_virtual_environment_in_a_folder_with_a_space(monkeypatch, python, given):
    """Ray puts the path into a shell line as it is; where nothing needs a quote, workers start without a detour."""
    monkeypatch.setattr("sys.executable", python)
    assert own_ray_options().get("runtime_env", {}) == given
