"""Whether a Ray cluster can ever hold evaluators: Ray itself would wait in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["check_resources", "largest_cluster"]

#: Where Ray's cluster launcher leaves the configuration for the autoscaler on the head node.
BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")

Node = dict[str, float]  # resource → amount


def check_resources(actors: int, num_cpus: float, num_gpus: float) -> None:
    """ValueError, with the numbers, if the cluster can never hold the actors all at once.

    A cluster that grows by itself counts as large as its configuration lets it become; where nobody knows how large
    that is (KubeRay), nothing is refused.
    """
    import ray

    wanted = {"CPU": num_cpus, "GPU": num_gpus}
    growing = largest_cluster()
    if growing is None:
        return
    nodes = growing or [dict(n["Resources"]) for n in ray.nodes() if n["Alive"]]
    this = "this Ray can grow to" if growing else "this Ray has"
    for kind, each in wanted.items():
        total = sum(node.get(kind, 0) for node in nodes)
        if each * actors > total:
            raise ValueError(
                f"{actors} evaluator actors with {each:g} {kind} each need {each * actors:g} {kind}s; {this} {total:g}"
            )
    room = sum(_room(node, wanted, actors) for node in nodes)
    if room < actors:
        shown = ", ".join(f"{n.get('CPU', 0):g} CPUs and {n.get('GPU', 0):g} GPUs" for n in nodes[:4])
        raise ValueError(
            f"{actors} evaluator actors with {num_cpus:g} CPU and {num_gpus:g} GPU each do not fit on the machines "
            f"of this Ray ({shown}{', …' if len(nodes) > 4 else ''}): {room} do"
        )


def _room(node: Node, wanted: dict[str, float], most: int) -> int:
    """How many actors one machine holds."""
    return min([most, *(int(node.get(kind, 0) / each + 1e-6) for kind, each in wanted.items() if each)])


def largest_cluster() -> list[Node] | None:
    """The machines of an autoscaling cluster at its largest; [] if it is not one, None if nobody knows."""
    import ray
    from ray._private.state import state  # what Ray Data and Ray Train ask, too

    config = state.get_cluster_config()  # written by the autoscaler of Ray's second version
    if config is not None and config.node_group_configs:
        return _grown([(g.max_count, dict(g.resources)) for g in config.node_group_configs])
    if os.environ.get("RAY_USAGE_STATS_KUBERAY_IN_USE") or "KUBERAY_GEN_RAY_START_CMD" in os.environ:
        return None
    path, node = BOOTSTRAP.expanduser(), ray._private.worker._global_node
    if path.is_file() and not (node is not None and node.head):  # a Ray that this process started does not grow
        return _grown(list(_bootstrap(path)))
    return []


def _grown(groups: list[tuple[int, Node]]) -> list[Node] | None:
    if any(count < 0 for count, _ in groups):  # without limit
        return None
    return [node for count, node in groups for _ in range(count)]


def _bootstrap(path: Path) -> Iterator[tuple[int, Node]]:
    import yaml  # Ray's own dependency

    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    most = document.get("max_workers", 2)
    for name, kind in document.get("available_node_types", {}).items():
        head = name == document.get("head_node_type")
        yield min(most, kind.get("max_workers", most)) + head, kind.get("resources", {})
