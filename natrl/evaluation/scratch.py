"""The evaluator that trains every architecture from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import torch

from natrl.core.architecture import Architecture
from natrl.data import ImageData, load_data
from natrl.evaluation.base import check_scores, Evaluator, Metric
from natrl.spaces.skeleton import Skeleton
from natrl.training.device import default_device, free_memory, precision, use_bf16
from natrl.training.fitting import train_network, TrainingResult
from natrl.training.schedule import Schedule
from natrl.training.schedule import schedule as find_schedule

__all__ = ["ScratchEvaluator"]

VERSION = 2  # of what a score means, part of its key in the ledger: raised where natrl computes it otherwise


class ScratchEvaluator(Evaluator):
    """The mean validation score of an architecture over trainings from scratch, one for each seed.

    Honest and slow. The seeds repeat the result to the bit on one machine, so a retried call gives the same scores. The
    test split is never read. Pickling a `data` name sends the name, and the receiver reads the data.
    """

    def __init__(
        self,
        data: str | ImageData,
        skeleton: Skeleton,
        schedule: str | Schedule = "quick",
        *,
        seeds: Sequence[int] = (0,),
        metric: Metric = "accuracy",
        device: torch.device | str | None = None,
        bf16: bool | None = None,
        data_seed: int = 0,
    ) -> None:
        """`data_seed`: of the splits of `data`. `bf16`: bfloat16 autocast in training; None: on GPUs that have it.

        ValueError on an unknown setting.
        """
        if metric not in get_args(Metric):
            raise ValueError(f"unknown metric {metric!r}; known: {', '.join(get_args(Metric))}")
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds must be one or more different whole numbers, at least 0, got {list(seeds)}")
        self.data_name = data if isinstance(data, str) else None
        self._data = None if isinstance(data, str) else data
        self.skeleton = skeleton
        self.schedule = find_schedule(schedule)
        self.seeds = tuple(seeds)
        self.metric = metric
        self.device = device
        self.bf16 = bf16
        self.data_seed = data_seed

    @property
    def data(self) -> ImageData:
        """The images, read on first use."""
        if self._data is None:
            assert self.data_name is not None
            self._data = load_data(self.data_name, seed=self.data_seed, image_size=self.skeleton.image_size)
        return self._data

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). ValueError, naming the architecture, where a training diverges."""
        scores = np.array([np.mean([self._score(a, seed) for seed in self.seeds]) for a in architectures], dtype=float)
        return check_scores(scores, architectures, self.metric)

    def settings(self) -> dict[str, Any]:
        """Data are known by what they hold, whatever their name; precision is the one of this machine."""
        device = default_device(self.device)
        return {
            "kind": "scratch",
            "version": VERSION,
            "data": self.data.name,
            "data_seed": self.data_seed,
            "images": self.data.digest,
            "skeleton": asdict(self.skeleton),
            "schedule": asdict(self.schedule),
            "seeds": list(self.seeds),
            "metric": self.metric,
            **precision(device, use_bf16(self.bf16, device)),
        }

    def close(self) -> None:
        """Gives back the images, if they can be read again, and the GPU's memory."""
        if self.data_name is not None:
            self._data = None
        free_memory(default_device(self.device))

    def _score(self, architecture: Architecture, seed: int) -> float:
        device = default_device(self.device)
        result: TrainingResult = train_network(
            architecture,
            self.skeleton,
            self.data,
            self.schedule,
            seed=seed,
            device=device,
            amp=use_bf16(self.bf16, device),
        )
        return result.validation_accuracy if self.metric == "accuracy" else -result.validation_cross_entropy

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({"_data": None} if self.data_name is not None else {})
