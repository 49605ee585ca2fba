"""The pool of actors, the ledger and shared memory, on simulated machines (ray.cluster_utils.Cluster) of this one.

Evaluations sleep, so that two cores can stand for many. Parts, each chosen by an option (none: all):

--efficiency  ideal time / measured for evaluations of 500 ms, even and lognormal (σ = 0.5): 64 actors on 4 machines,
              128 on 8. Ideal: the same evaluations in the same order without any overhead, whoever is free takes the
              next. `busy` is the share of the actors' time that was spent in evaluations, the end of the run included.
--overhead    milliseconds an evaluation that does nothing, on 2 actors: one at a time, and a table by chunks of 256;
              and what Ray alone takes for the same calls in the barest loop.
--node        one machine of four (4 actors each) is removed without warning at half time.
--kills       100 SIGKILLs at random moments of a run of 4 actors with a ledger: 85 of an actor, 15 of driver and Ray.
              Every evaluation writes its own log when it is paid for, just before the ledger: nothing may be there
              twice.
--weights     how long until 8 actors of one machine that hold 100 MB of weights have the next version; `copied`: into
              arrays of their own, as a supernet does.
--memory      private memory (proc: Private_Clean + Private_Dirty) of 8 supernet actors, with 240 MB of images and with
              next to none: the difference is what each holds of the data set for itself.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
import ray
import torch
from _rows import print_row
from ray.cluster_utils import Cluster
from torch.utils.data import TensorDataset

from natrl import Architecture, Skeleton
from natrl import space as find_space
from natrl.data import ImageData
from natrl.evaluation import Evaluator, TableEvaluator
from natrl.evaluation.ledger import read_ledger
from natrl.evaluation.paid import LedgerEvaluator, RecordingEvaluator
from natrl.evaluation.pool import PoolEvaluator
from natrl.evaluation.shared_ledger import serve_ledger
from natrl.evaluation.supernet import SupernetEvaluator

SECONDS = 0.5  # of an evaluation
ROUNDS = 40  # evaluations of each actor
QUIET = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
SPACE = find_space("nasbench201")


def architectures(n: int) -> list[Architecture]:
    """n different ones."""
    found: dict[Architecture, None] = {}
    rng = np.random.default_rng(0)
    while len(found) < n:
        found[SPACE.sample(rng)] = None
    return list(found)


class Sleeper(Evaluator):
    """Sleeps as long as it is told, and logs what it did: a line of key and process once an evaluation is paid for."""

    def __init__(self, seconds: dict[str, float], log: str | None = None) -> None:
        self.seconds, self.log = seconds, log

    def settings(self) -> dict[str, str]:
        return {"kind": "sleep", "data": "none", "metric": "accuracy"}

    def evaluate(self, asked: Sequence[Architecture]) -> np.ndarray:
        for a in asked:
            time.sleep(self.seconds[a.key])
            if self.log is not None:
                line = f"{json.dumps([a.key, os.getpid()])}\n".encode()
                file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(file, line)
                os.close(file)
        return np.array([score(a) for a in asked])


def score(a: Architecture) -> float:
    """Any number in [0, 1] that tells architectures apart."""
    return int.from_bytes(a.key.encode(), "big") % 9973 / 9973


@contextmanager
def machines(n: int, cpus: float) -> Iterator[tuple[Cluster, list]]:  # type: ignore[type-arg]
    """A head without CPUs for the driver, and n machines."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=cpus, wait=False) for _ in range(n)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    try:
        yield cluster, nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def one_machine(**options: float) -> Iterator[None]:
    ray.init(address="local", **QUIET, **options)
    try:
        yield
    finally:
        ray.shutdown()


def fill(pool: PoolEvaluator, actors: int) -> None:
    """Waits until all actors stand: starting a process takes half a second of a core."""
    while len(pool._crew.standing) < actors:
        pool._crew.wait_for_one()


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


def drive(folder: Path, evaluations: int) -> None:
    """The driver that is killed: evaluates by a pool behind a ledger, until all is done."""
    archs = architectures(evaluations)
    seconds = dict.fromkeys((a.key for a in archs), 0.3)
    with one_machine(num_cpus=4), serve_ledger(folder / "ledger.db") as ledger:

        def build() -> Evaluator:
            return RecordingEvaluator(Sleeper(seconds, str(folder / "log")), ledger)

        pool = PoolEvaluator(build, actors=4, max_attempts=20)
        LedgerEvaluator(pool, ledger).evaluate(archs)
        pool.close()


def kills(number: int, drivers: int, evaluations: int) -> None:
    """Kills at random moments until all is done, `number` times at most."""
    rng = random.Random()
    acts = ["driver"] * drivers + ["actor"] * (number - drivers)
    rng.shuffle(acts)
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), Path(name) / "log"
        log.touch()
        start, made = time.perf_counter(), Counter()
        driver = start_driver(folder, evaluations)
        while acts and driver.poll() is None:
            lines = log.read_text().splitlines()
            time.sleep(rng.expovariate(1 / 0.8))
            fresh = [json.loads(line)[1] for line in log.read_text().splitlines()[len(lines) :]]
            if not fresh:
                continue  # it is still starting
            act = acts.pop()
            made[act] += 1
            if act == "actor":
                kill_quietly(rng.choice(fresh))
            else:
                os.killpg(driver.pid, signal.SIGKILL)  # Ray's processes are in the driver's session
                driver.wait()
                driver = start_driver(folder, evaluations)
        assert driver.wait() == 0, "the last driver failed"
        measured = time.perf_counter() - start
        frame = read_ledger(folder / "ledger.db")
        done = Counter(json.loads(line)[0] for line in log.read_text().splitlines())
    archs = architectures(evaluations)
    stored = dict(zip(frame.architecture, frame["score"], strict=True))
    assert stored == {a.key: score(a) for a in archs}, "the ledger is not whole"
    print_row(
        "cluster/kills",
        actors_killed=made["actor"],
        drivers_killed=made["driver"],
        evaluations=len(archs),
        paid_twice=sum(n > 1 for n in done.values()),
        paid_twice_by_ledger=int((frame.paid > 1).sum()),
        seconds=measured,
    )


def start_driver(folder: Path, evaluations: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--drive", str(folder), "--evaluations", str(evaluations)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)


def kill_quietly(pid: int) -> None:
    with suppress(ProcessLookupError):  # it died of an earlier one
        os.kill(pid, signal.SIGKILL)


class Heavy(Evaluator):
    """100 arrays of 1 MB that change with the version."""

    def __init__(self, copied: bool) -> None:
        self.copied = copied
        self.arrays = {f"layer{i}": np.zeros(250_000, np.float32) for i in range(100)}

    def evaluate(self, asked: Sequence[Architecture]) -> np.ndarray:
        time.sleep(0.02)  # or one actor would take them all
        assert self.arrays["layer99"][-1] == self.version
        return np.zeros(len(asked))

    def train_weights(self, steps: int) -> dict[str, float]:
        self.version += 1
        for array in self.arrays.values():
            array += 1
        return {}

    def get_weights(self) -> dict[str, np.ndarray]:
        return self.arrays

    def set_weights(self, weights: dict[str, np.ndarray], version: int) -> None:  # type: ignore[override]
        if self.copied:
            for name, array in weights.items():
                np.copyto(self.arrays[name], array)
        else:
            self.arrays = weights
        self.version = version


def weights() -> None:
    archs = architectures(8)
    with one_machine(num_cpus=8, object_store_memory=3e9):
        for copied in (False, True):
            pool = PoolEvaluator(partial(Heavy, copied), actors=8)
            fill(pool, 8)
            pool.train_weights(1)
            times: dict[str, list[float]] = {"train": [], "first": [], "next": []}
            for _ in range(6):
                pool.evaluate(archs)
                for name, call in (
                    ("train", lambda: pool.train_weights(1)),  # noqa: B023  # called at once
                    ("first", lambda: pool.evaluate(archs)),  # noqa: B023
                    ("next", lambda: pool.evaluate(archs)),  # noqa: B023
                ):
                    start = time.perf_counter()
                    call()
                    times[name].append(time.perf_counter() - start)
            pool.close()
            train, first, following = (float(np.median(times[name])) for name in ("train", "first", "next"))
            print_row(
                "cluster/weights",
                copied=copied,
                megabytes=100,
                actors=8,
                reach_s=first - following,
                hand_over_s=train,
                load=os.getloadavg()[0],
            )


def images(n: int) -> ImageData:
    """3 KB each."""
    generator = torch.Generator().manual_seed(0)

    def part(size: int) -> TensorDataset:
        return TensorDataset(torch.randn(size, 3, 16, 16, generator=generator), torch.arange(size) % 10)

    return ImageData("noise", part(n), part(1000), part(10), 10, 16, 3, tuple("0123456789"))


def memory() -> None:
    skeleton, megabytes = Skeleton(channels=8, cells=3, image_size=16), {}
    sizes = (80_000, 1000)
    with one_machine(num_cpus=8, object_store_memory=2e9):
        for size in sizes:
            data = images(size)
            megabytes[size] = [sum(t.nbytes for t in data.train.tensors) / 1e6, 0.0]  # type: ignore[attr-defined]
            pool = PoolEvaluator(partial(SupernetEvaluator, "darts", skeleton, data, device="cpu"), actors=8)
            fill(pool, 8)
            rng = np.random.default_rng(0)
            pool.train_weights(2)
            pool.evaluate([find_space("darts").sample(rng) for _ in range(32)])
            pids = ray.get([m.actor.__ray_call__.remote(lambda self: os.getpid()) for m in pool._crew.standing])
            megabytes[size][1] = sum(map(private_megabytes, pids))
            pool.close()
    (large, with_images), (small, without) = (megabytes[size] for size in sizes)
    print_row(
        "cluster/memory",
        actors=8,
        images_mb=large - small,
        private_mb=with_images,
        private_without_mb=without,
        copies_in_actors=(with_images - without) / (large - small),
    )


def private_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"efficiency": efficiency, "overhead": overhead, "node": node, "weights": weights, "memory": memory}
    for name in (*parts, "kills"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--machines", type=int, choices=(4, 8), help="the efficiency on so many only")
    parser.add_argument("--number", type=int, default=100, help="of kills")
    parser.add_argument("--drivers", type=int, default=15, help="of those, of the driver")
    parser.add_argument("--evaluations", type=int, default=2000, help="in the part with kills")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive is not None:
        drive(arguments.drive, arguments.evaluations)
        return
    chosen = [name for name in (*parts, "kills") if getattr(arguments, name)]
    for name in chosen or (*parts, "kills"):
        if name == "kills":
            kills(arguments.number, arguments.drivers, arguments.evaluations)
        elif name == "efficiency":
            efficiency(arguments.machines)
        else:
            parts[name]()


if __name__ == "__main__":
    main()
