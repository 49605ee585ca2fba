"""The evaluator that trains every architecture from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice
from natrl.data import ImageData, load_data
from natrl.evaluation.base import check_scores, Evaluator, Metric
from natrl.spaces import space as find_space
from natrl.spaces.networks import Networks
from natrl.training.device import default_device, free_memory, precision, use_bf16
from natrl.training.fitting import train_network, TrainingResult
from natrl.training.schedule import Schedule
from natrl.training.schedule import schedule as find_schedule

__all__ = ["ScratchEvaluator"]

VERSION = 2  # of what a score means, part of its key in the ledger: raised where natrl computes it otherwise


class ScratchEvaluator(Evaluator):
    """The mean validation score of an architecture over trainings from scratch, one for each seed.

    Honest and slow. The seeds repeat the result to the bit on one machine, so a retried call gives the same scores. The
    test split is never read.
    """

    @checked
    def __init__(
        self,
        networks: str | Networks,
        data: str | ImageData,
        schedule: str | Schedule = "quick",
        *,
        seeds: Sequence[int] = (0,),
        metric: Metric = "accuracy",
        device: torch.device | str | None = None,
        bf16: bool | None = None,
        data_seed: int = 0,
    ) -> None:
        """`networks`: a space or its name, or a skeleton. `data_seed`: which splits `data` has, part of what scores
        depend on. `bf16`: bfloat16 autocast in training; None: on GPUs that have it. ValueError on an unknown setting,
        or where the networks do not fit the data.
        """
        check_choice("metric", metric, Metric)
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds must be one or more different whole numbers, at least 0, got {list(seeds)}")
        self.data = load_data(data, seed=data_seed) if isinstance(data, str) else data
        self.networks = (find_space(networks) if isinstance(networks, str) else networks).fitted(self.data)
        self.schedule = find_schedule(schedule)
        self.seeds = tuple(seeds)
        self.metric = metric
        self.device = device
        self.bf16 = bf16
        self.data_seed = data_seed

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
            **self.networks.identity(),
            "schedule": asdict(self.schedule),
            "seeds": list(self.seeds),
            "metric": self.metric,
            **precision(device, use_bf16(self.bf16, device)),
        }

    def close(self) -> None:
        """Gives back the GPU's memory."""
        free_memory(default_device(self.device))

    def _score(self, architecture: Architecture, seed: int) -> float:
        device = default_device(self.device)
        result: TrainingResult = train_network(
            self.networks,
            architecture,
            self.data,
            self.schedule,
            seed=seed,
            device=device,
            amp=use_bf16(self.bf16, device),
        )
        return result.validation_accuracy if self.metric == "accuracy" else -result.validation_cross_entropy
