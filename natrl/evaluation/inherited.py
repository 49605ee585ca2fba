"""Scores of networks that inherit the weights of a trained one, on validation images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from natrl.checks.arguments import checked
from natrl.checks.fields import Count, Seed, Steps
from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice
from natrl.data import batches, ImageData
from natrl.data.labels import size_of
from natrl.digests import digest
from natrl.evaluation.base import check_scores, Evaluator, Metric, score_each
from natrl.spaces import Space
from natrl.training.device import default_device, precision
from natrl.training.fitting import fit, measure, Measured
from natrl.training.schedule import Schedule

__all__ = ["InheritedEvaluator", "Inheriting"]

#: Steps of fine-tuning where inherited weights alone do not rank.
STEPS = Schedule(epochs=1, batch_size=64, learning_rate=0.01)
FALLBACK_STEPS = 20
PROBES = 5  # random architectures that tell whether they do
VERSION = 6  # of what a score means, part of its key in the ledger: raised where natrl computes it otherwise
CHANCE = 2.0  # an accuracy below this many times that of guessing says nothing


class Inheriting(Evaluator):
    """Scores networks of a space that has a trained one, whose weights they inherit (`Space.inheritance`)."""

    steps: int  # of training before a network is scored

    def __init__(self, space: Space, inputs: Any, *, seed: int, device: torch.device | str | None) -> None:
        """`inputs`: unlabelled ones as the network takes them, which replacements are fitted on."""
        self.space, self.inputs, self.seed = space, inputs, seed
        self._device = device
        self._inherit: Callable[[Architecture], nn.Module] | None = None

    def __deepcopy__(self, memo: Any) -> Inheriting:
        return self  # RLlib copies its configuration at every iteration

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_inherit": None}

    @property
    def device(self) -> torch.device:
        return default_device(self._device)

    def inherit(self, architecture: Architecture) -> nn.Module:
        """The network of the architecture with inherited weights, on the evaluator's device."""
        if self._inherit is None:
            self._inherit = self.space.inheritance(self.inputs, seed=self.seed, device=self.device)
        return self._inherit(architecture)


class InheritedEvaluator(Inheriting):
    """Validation score of a network whose weights were inherited from the trained one, often without training.

    How is said by the space (`Space.inheritance`; natrl.modules.inherit.inheritance for a user's network), on
    unlabelled training images. After that the network is trained for `steps` steps, the same number for all: None finds
    out whether there is need to. If most of a few random architectures are near guessing, fitted weights rank nothing,
    and it is 20; else 0. The original is treated alike, new statistics included, so that no score is better by these
    alone. The test split is not held. Everything is drawn once, by the seed.
    """

    @checked
    def __init__(
        self,
        space: Space,
        data: ImageData,
        *,
        metric: Metric = "accuracy",
        steps: Steps | None = None,
        reference_images: Count = 256,
        validation_images: Count = 512,
        seed: Seed = 0,
        device: torch.device | str | None = None,
    ) -> None:
        """`reference_images`, `validation_images`: at most so many. ValueError on an unknown metric or bad numbers, or
        where the network's outputs are not one for each class of the data.
        """
        check_choice("metric", metric, Metric)
        self.metric = metric
        images, _ = next(batches(data.train, reference_images, shuffle_seed=seed))
        super().__init__(space.fitted(data), images, seed=seed, device=device)
        self._steps = steps
        validation = TensorDataset(*next(batches(data.validation, validation_images, shuffle_seed=seed)))
        most = max(steps or 0, FALLBACK_STEPS) * STEPS.batch_size
        train = TensorDataset(*next(batches(data.train, most, shuffle_seed=seed)))
        nothing = TensorDataset(images[:0], torch.zeros(0, dtype=torch.int64))
        self._data = replace(data, train=train, validation=validation, test=nothing)

    @property
    def steps(self) -> int:  # type: ignore[override]  # found out where it is asked for
        """Steps of training before a network is scored."""
        if self._steps is None:
            rng = np.random.default_rng(self.seed)
            probes = [self._probe(self.space.sample(rng)) for _ in range(PROBES)]
            chance = CHANCE / self._data.num_classes
            self._steps = FALLBACK_STEPS if np.median(probes) < chance else 0
        return self._steps

    def _probe(self, architecture: Architecture) -> float:
        """Accuracy with inherited weights alone; 0 where outputs are not finite."""
        try:
            return self._measure(self.inherit(architecture)).accuracy
        except FloatingPointError:
            return 0.0

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). FailedEvaluations names those whose outputs are not finite."""
        scores = score_each(architectures, self._score, FloatingPointError)
        return check_scores(scores, architectures, self.metric)

    def _network(self, architecture: Architecture) -> nn.Module:
        """The network as it is scored."""
        network = self.inherit(architecture)
        if self.steps:
            size = self.steps * STEPS.batch_size
            few = replace(self._data, train=TensorDataset(*self._data.train[:size]))
            fit(network, few, STEPS, seed=self.seed, device=self.device)
        return network

    def _score(self, architecture: Architecture) -> float:
        measured = self._measure(self._network(architecture))
        return measured.accuracy if self.metric == "accuracy" else -measured.cross_entropy

    def _measure(self, network: nn.Module) -> Measured:
        return measure(network, self._data.validation, device=self.device)

    def settings(self) -> dict[str, Any]:
        """The network is known by its code and all that it holds, images by their pixels and labels."""
        return {
            "kind": "inherited",
            "version": VERSION,
            **self.space.identity(),
            "data": self._data.name,
            "images": self._contents,
            "reference_images": len(self.inputs),
            "validation_images": size_of(self._data.validation),
            "steps": self.steps,
            "schedule": asdict(STEPS),
            "metric": self.metric,
            "seed": self.seed,
            **precision(self.device, False),
        }

    @cached_property
    def _contents(self) -> str:
        return digest((self.inputs, self._data.digest))
