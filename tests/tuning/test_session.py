"""A clear word where there is no Ray. (test_sweep.py has its silence, test_cluster.py what -v shows.)"""

from __future__ import annotations

import socket

import pytest

from natrl.tuning.session import check_reachable


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
