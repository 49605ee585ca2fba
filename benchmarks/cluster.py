"""The pool of actors on simulated machines (ray.cluster_utils.Cluster) of this one.

Evaluations sleep, so that two cores can stand for many. Parts, each chosen by an option (none: all):

--efficiency  ideal time / measured for evaluations of 500 ms, even and lognormal (σ = 0.5): 64 actors on 4 machines,
              128 on 8. Ideal: the same evaluations in the same order without any overhead, whoever is free takes the
              next. `busy` is the share of the actors' time that was spent in evaluations, the end of the run included.
--overhead    milliseconds an evaluation that does nothing, on 2 actors: one at a time, and a table by chunks of 256;
              and what Ray alone takes for the same calls in the barest loop.
--node        one machine of four (4 actors each) is removed without warning at half time.
"""

from __future__ import annotations

import heapq
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import ray
from _machines import architectures, fill, machines, one_machine, score, Sleeper
from _options import Parser, run
from _rows import print_row

from natrl import Architecture
from natrl.evaluation import Evaluator, TableEvaluator
from natrl.evaluation.pool.evaluator import PoolEvaluator

SECONDS = 0.5  # of an evaluation
ROUNDS = 40  # evaluations of each actor


def efficiency(only: int | None = None) -> None:
    for nodes, actors in ((4, 64), (8, 128)):
        if only not in (None, nodes):
            continue
        archs = architectures(actors * ROUNDS)
        keys = [a.key for a in archs]
        rng = np.random.default_rng(1)
        drawn = rng.lognormal(-(0.5**2) / 2, 0.5, len(archs))
        kinds = {"even": np.ones(len(archs)), "lognormal": drawn / drawn.mean()}
        durations = {kind: dict(zip(keys, (SECONDS * times).tolist(), strict=True)) for kind, times in kinds.items()}
        with machines(nodes, actors / nodes):
            for kind, seconds in durations.items():
                pool = PoolEvaluator(partial(Sleeper, seconds), actors=actors)
                fill(pool, actors)
                start = time.perf_counter()
                scores = pool.evaluate(archs)
                measured = time.perf_counter() - start
                pool.close()
                np.testing.assert_array_equal(scores, [score(a) for a in archs])
                ideal = schedule_length([seconds[key] for key in keys], actors)
                print_row(
                    "cluster/efficiency",
                    machines=nodes,
                    actors=actors,
                    durations=kind,
                    evaluations=len(archs),
                    ideal_s=ideal,
                    measured_s=measured,
                    efficiency=ideal / measured,
                    busy=sum(seconds.values()) / actors / measured,
                    load=os.getloadavg()[0],
                )


def schedule_length(seconds: Sequence[float], actors: int) -> float:
    """When the last evaluation ends if whoever is free takes the next one at once."""
    free = [0.0] * actors
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def overhead() -> None:
    archs = architectures(15_000)
    table = TableEvaluator({a: score(a) for a in archs})
    cases: tuple[tuple[str, int, Callable[[], Evaluator], list[Architecture]], ...] = (
        ("nothing, one at a time", 1, partial(Sleeper, dict.fromkeys((a.key for a in archs), 0.0)), archs[:3000]),
        ("table, chunks of 256", 256, lambda: table, archs),
    )
    with one_machine(num_cpus=2):
        bare = [bare_ray(archs[:3000]) for _ in range(5)]
        print_row("cluster/overhead", case="Ray alone", ms=float(np.median(bare)), best_ms=min(bare))
        for name, chunk, build, asked in cases:
            pool = PoolEvaluator(build, actors=2, chunk=chunk)
            fill(pool, 2)
            pool.evaluate(asked[:500])
            times = []
            for _ in range(5):
                start = time.perf_counter()
                pool.evaluate(asked)
                times.append(1000 * (time.perf_counter() - start) / len(asked))
            pool.close()
            print_row(
                "cluster/overhead", case=name, ms=float(np.median(times)), best_ms=min(times), load=os.getloadavg()[0]
            )


def bare_ray(asked: Sequence[Architecture]) -> float:
    """Milliseconds a call of an actor that does nothing, one in flight on each of two."""

    class Nothing:
        def evaluate(self, asked: Sequence[Architecture]) -> np.ndarray:
            return np.zeros(len(asked))

    actors = [ray.remote(Nothing).remote() for _ in range(2)]
    ray.get([actor.evaluate.remote(asked[:1]) for actor in actors])
    start, waiting = time.perf_counter(), list(asked)
    running = {actor.evaluate.remote([waiting.pop()]): actor for actor in actors}
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        actor = running.pop(done)
        ray.get(done)
        if waiting:
            running[actor.evaluate.remote([waiting.pop()])] = actor
    milliseconds = 1000 * (time.perf_counter() - start) / len(asked)
    for actor in actors:
        ray.kill(actor)
    return milliseconds


def node() -> None:
    archs = architectures(16 * ROUNDS // 2)
    seconds = dict.fromkeys((a.key for a in archs), SECONDS)
    expected = np.array([score(a) for a in archs])
    measured = {}
    for lost in (False, True):
        with machines(4, 4) as (cluster, nodes), tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            pool = PoolEvaluator(partial(Sleeper, seconds, str(log)), actors=16)
            fill(pool, 16)
            half = threading.Timer(SECONDS * len(archs) / 16 / 2, cluster.remove_node, (nodes[1], False))
            start = time.perf_counter()
            if lost:
                half.start()
            scores = pool.evaluate(archs)
            measured[lost] = time.perf_counter() - start
            np.testing.assert_array_equal(scores, expected)
            done = Counter(json.loads(line)[0] for line in log.read_text().splitlines())
            assert done.keys() == seconds.keys()
            again = done.total() - len(archs)
            restarts = pool.restarts
            pool.close()
    print_row(
        "cluster/node",
        evaluations=len(archs),
        undisturbed_s=measured[False],
        lost_s=measured[True],
        ratio=measured[True] / measured[False],
        restarts=restarts,
        evaluated_again=again,
    )


def main() -> None:
    parser = Parser(__doc__)
    for name in ("efficiency", "overhead", "node"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--machines", type=int, choices=(4, 8), help="the efficiency on so many only")
    arguments = parser.parse_args()
    parts = {"efficiency": lambda: efficiency(arguments.machines), "overhead": overhead, "node": node}
    chosen = [name for name in parts if getattr(arguments, name)]
    for name in chosen or parts:
        parts[name]()


if __name__ == "__main__":
    run(main)
