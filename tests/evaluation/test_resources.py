"""What a cluster can never hold is refused at once, with the numbers; what it may grow to hold is not."""

from __future__ import annotations

import pytest

from natrl.evaluation.pool import resources
from natrl.evaluation.pool.resources import check_resources, largest_cluster

ray = pytest.importorskip("ray")

GROWING = """
max_workers: 8
head_node_type: head
available_node_types:
  head: {resources: {CPU: 4}, max_workers: 0}
  gpu: {resources: {CPU: 16, GPU: 1}, max_workers: 4}
"""


@pytest.fixture
def nodes(monkeypatch, ray_session):
    """Two machines of 4 CPUs and 1 GPU, and one that has left."""
    machines = [{"Alive": alive, "Resources": {"CPU": 4.0, "GPU": 1.0}} for alive in (True, True, False)]
    monkeypatch.setattr(ray, "nodes", lambda: machines)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ((9, 1, 0), "9 evaluator actors with 1 CPU each need 9 CPUs; this Ray has 8"),
        ((9, 0, 0.25), "9 evaluator actors with 0.25 GPU each need 2.25 GPUs; this Ray has 2"),
        ((1, 0, 2), r"GPU each do not fit on the machines of this Ray \(4 CPUs and 1 GPUs, 4 CPUs and 1 GPUs\): 0 do"),
        ((4, 2, 0.5), ""),
        ((3, 1, 0.7), "3 evaluator actors with 0.7 GPU each need 2.1 GPUs; this Ray has 2"),
        ((2, 3, 1), ""),
        ((8, 1, 0.25), ""),
        ((100, 0, 0), ""),
    ],
)
def test_a_cluster_of_fixed_size(nodes, wanted, message):
    if message:
        with pytest.raises(ValueError, match=message):
            check_resources(*wanted)
    else:
        check_resources(*wanted)


def test_a_cluster_that_grows_is_taken_at_its_largest(nodes, monkeypatch, tmp_path):
    (tmp_path / "bootstrap.yaml").write_text(GROWING)
    monkeypatch.setattr(resources, "BOOTSTRAP", tmp_path / "bootstrap.yaml")
    assert largest_cluster() == []  # a Ray that this process started does not grow
    monkeypatch.setattr(ray._private.worker, "_global_node", None)
    assert sum(node.get("GPU", 0) for node in largest_cluster()) == 4
    check_resources(16, 1, 0.25)
    with pytest.raises(
        ValueError, match=r"17 evaluator actors with 0\.25 GPU each need 4\.25 GPUs; this Ray can grow to 4"
    ):
        check_resources(17, 1, 0.25)


def test_nothing_is_refused_where_nobody_knows(nodes, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_KUBERAY_IN_USE", "1")
    check_resources(1000, 1, 1)
