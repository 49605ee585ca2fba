"""Shared memory of a machine's actors. Parts, each chosen by an option (none: both):

--weights  how long until 8 actors of one machine that hold 100 MB of weights have the next version; `copied`: into
           arrays of their own, as a supernet does.
--images   private memory (proc: Private_Clean + Private_Dirty) of 8 supernet actors, with 240 MB of images and with
           next to none: the difference is what each holds of the data set for itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import ray
import torch
from _machines import architectures, fill, one_machine
from _options import Parser, run
from _rows import print_row
from torch.utils.data import TensorDataset

import natrl
from natrl import Architecture, Skeleton
from natrl import space as find_space
from natrl.data import ImageData
from natrl.evaluation import Evaluator
from natrl.evaluation.pool.evaluator import PoolEvaluator
from natrl.evaluation.supernet import SupernetEvaluator


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
            pool = PoolEvaluator(
                partial(SupernetEvaluator, natrl.space("darts").on(skeleton), data, device="cpu"), actors=8
            )
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
    parser = Parser(__doc__)
    parts = {"weights": weights, "images": memory}
    for name in parts:
        parser.add_argument(f"--{name}", action="store_true")
    arguments = parser.parse_args()
    for name in [name for name in parts if getattr(arguments, name)] or parts:
        parts[name]()


if __name__ == "__main__":
    run(main)
