"""Scores of replaced networks: weights inherited by least squares, then validation images."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, TYPE_CHECKING

import numpy as np
import torch
from torch import nn, Tensor
from torch.utils.data import TensorDataset

from natrl.checks.arguments import checked
from natrl.checks.fields import Count, Steps
from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice
from natrl.data import batches, ImageData
from natrl.data.labels import size_of
from natrl.digests import digest
from natrl.evaluation.base import check_scores, Evaluator, FailedEvaluations, Metric
from natrl.modules.inherit.least_squares import inherit, Reference
from natrl.modules.original import check_outputs
from natrl.training.device import default_device, precision
from natrl.training.fitting import fit, measure, Measured
from natrl.training.schedule import Schedule

if TYPE_CHECKING:
    from natrl.modules.space import ModuleSpace

__all__ = ["ModuleEvaluator", "held_images"]

#: Steps of fine-tuning where inherited weights alone do not rank.
STEPS = Schedule(epochs=1, batch_size=64, learning_rate=0.01)
FALLBACK_STEPS = 20
PROBES = 5  # random architectures that tell whether they do
VERSION = 3  # of what a score means, part of its key in the ledger: raised where natrl computes it otherwise
CHANCE = 2.0  # an accuracy below this many times that of guessing says nothing


class ModuleEvaluator(Evaluator):
    """Validation score of a replaced network whose weights were inherited from the trained one, often without training.

    Replacements are fitted by least squares to what the trained layers give on unlabelled training images, and
    batch-norms take over the new statistics (natrl.modules.inherit). After that the network is trained for `steps`
    steps, the same number for all: None finds out whether there is need to. If most of a few random architectures are
    near guessing, fitted weights rank nothing, and it is 20; else 0. The original is treated alike, new statistics
    included, so that no score is better by these alone; batch-norms that the user has frozen keep theirs. The test
    split is not held. Everything is drawn once, by the seed.
    """

    @checked
    def __init__(
        self,
        space: ModuleSpace,
        data: ImageData,
        *,
        metric: Metric = "accuracy",
        steps: Steps | None = None,
        reference_images: int = 256,
        validation_images: int = 512,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        """`reference_images`, `validation_images`: at most so many. ValueError on an unknown metric or bad numbers, or
        where the network's outputs are not one for each class of the data.
        """
        check_choice("metric", metric, Metric)
        self.metric = metric
        self.space = space
        self.seed = seed
        self._device = device
        self._steps = steps
        self._images, validation = held_images(space.model, data, reference_images, validation_images, seed)
        most = max(steps or 0, FALLBACK_STEPS) * STEPS.batch_size
        train = TensorDataset(*next(batches(data.train, most, shuffle_seed=seed)))
        nothing = TensorDataset(self._images[:0], torch.zeros(0, dtype=torch.int64))
        self._data = replace(data, train=train, validation=validation, test=nothing)
        self._sent: str | None = None  # the network's digest, in a copy that was sent to another process
        self._reference: tuple[Reference, dict[str, nn.Conv2d]] | None = None

    def __deepcopy__(self, memo: Any) -> ModuleEvaluator:
        return self  # RLlib copies its configuration at every iteration

    def __getstate__(self) -> dict[str, Any]:
        # In a worker a module that the network's code reads may not be importable: its digest travels along.
        return self.__dict__ | {"_reference": None, "_sent": self._sent or digest(self.space.model)}

    @property
    def device(self) -> torch.device:
        return default_device(self._device)

    @property
    def steps(self) -> int:
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
        scores, failures = np.full(len(architectures), np.nan), {}
        for i, architecture in enumerate(architectures):
            try:
                scores[i] = self._score(architecture)
            except FloatingPointError as error:
                failures[architecture.key] = str(error)
        if failures:
            raise FailedEvaluations(failures, scores)
        return check_scores(scores, architectures, self.metric)

    def _score(self, architecture: Architecture) -> float:
        network = self.inherit(architecture)
        if self.steps:
            size = self.steps * STEPS.batch_size
            few = replace(self._data, train=TensorDataset(*self._data.train[:size]))
            fit(network, few, STEPS, seed=self.seed, device=self.device)
        measured = self._measure(network)
        return measured.accuracy if self.metric == "accuracy" else -measured.cross_entropy

    def _measure(self, network: nn.Module) -> Measured:
        return measure(network, self._data.validation, device=self.device)

    def inherit(self, architecture: Architecture) -> nn.Module:
        """The network of the architecture, of the user's class, with inherited weights; on the evaluator's device."""
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, but none of them stays
            network = self.space.build(architecture, verify=False).to(self.device)
        reference, layers = self._recorded
        now = self.space.operations(architecture)
        replaced = {slot.name for slot in self.space.slots if now[slot.name] != slot.operation}
        inherit(network, {name: layers[name] for name in replaced & layers.keys()}, reference)
        return network

    def recalibrated_original(self) -> nn.Module:
        """The original with the batch-norm statistics that a candidate has: what candidates are to be compared with."""
        return self.inherit(self.space.architecture)

    @property
    def _recorded(self) -> tuple[Reference, dict[str, nn.Conv2d]]:
        """What the trained layers give, and these layers; worked out on first use."""
        if self._reference is None:
            original = deepcopy(self.space.model).to(self.device)
            modules = {slot.name: original.get_submodule(slot.name) for slot in self.space.slots}
            layers = {name: module for name, module in modules.items() if isinstance(module, nn.Conv2d)}
            images = self._images.to(self.device)
            self._reference = Reference(original, list(layers), images, seed=self.seed), layers
        return self._reference

    def settings(self) -> dict[str, Any]:
        """The network is known by its code and all that it holds, images by their pixels and labels."""
        return {
            "kind": "module",
            "version": VERSION,
            "network": self._sent or digest(self.space.model),
            "data": self._data.name,
            "images": self._contents,
            "reference_images": len(self._images),
            "validation_images": size_of(self._data.validation),
            "steps": self.steps,
            "schedule": asdict(STEPS),
            "metric": self.metric,
            "seed": self.seed,
            **precision(self.device, False),
        }

    @cached_property
    def _contents(self) -> str:
        return digest((self._images, self._data.digest))


@checked
def held_images(
    model: nn.Module, data: ImageData, reference_images: Count, validation_images: Count, seed: int
) -> tuple[Tensor, TensorDataset]:
    """What an evaluator keeps: unlabelled training images (N, C, H, W), and validation images with labels.

    At most as many as there are, drawn by the seed. ValueError on numbers below 1, or where the model's outputs are not
    one for each class of the data.
    """
    images, _ = next(batches(data.train, reference_images, shuffle_seed=seed))
    check_outputs(model, images[:2], data)
    return images, TensorDataset(*next(batches(data.validation, validation_images, shuffle_seed=seed)))
