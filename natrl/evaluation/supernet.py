"""The supernet evaluator: weights shared by all architectures of a space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from natrl.checks.arguments import checked
from natrl.checks.fields import Count, Portion, Seed
from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice
from natrl.data import batches, ImageData, load_data
from natrl.data.arrays import as_tensor
from natrl.data.passes import in_two, Passes
from natrl.evaluation.base import check_scores, Evaluator, FailedEvaluations, Metric
from natrl.spaces import Space
from natrl.spaces import space as find_space
from natrl.training.device import default_device, free_memory, use_bf16
from natrl.training.supernet import SupernetTrainer
from natrl.training.weight_settings import WeightSettings

__all__ = ["SupernetEvaluator"]

NOT_FINITE = "gives numbers that are not finite"


class SupernetEvaluator(Evaluator):
    """Scores architectures by a supernet on one batch of images, the same for all.

    The batch, of up to `score_images` images, is drawn from the validation split by the seed. With a `weight_share`
    below 1 it is the papers' way (arXiv 2102.10301, section 6): that share of the training images trains the weights,
    and scores are of the others, of another batch at each version, pass after pass. Until `train_weights` has run,
    scores are those of the first weights: random ones of cells, inherited ones of a user's network. What batch-norms do
    is the supernet's affair (`Space.supernet`). The test split is not read.
    """

    @checked
    def __init__(
        self,
        space: str | Space,
        data: str | ImageData,
        *,
        metric: Metric = "accuracy",
        settings: WeightSettings | None = None,
        total_steps: Count = 3000,
        score_images: Count = 512,
        reference_images: Count = 256,
        weight_share: Portion = 1.0,
        bf16: bool | None = None,
        seed: Seed = 0,
        device: torch.device | str | None = None,
    ) -> None:
        """`total_steps`: steps of `train_weights` in all, the length of the learning-rate schedule. `reference_images`:
        unlabelled training images that first weights may be fitted on. `bf16`: autocast in evaluation; None: on GPUs
        that have it. `seed`: of the weights and all draws. `device`: the GPU where there is one. ValueError on unknown
        names, or where the space's networks do not fit the data.
        """
        check_choice("metric", metric, Metric)
        data = load_data(data) if isinstance(data, str) else data
        self.space = find_space(space).fitted(data)
        self.metric = metric
        self.version = 0
        self.data = data  # `train`: what the weights are trained on
        self.rotates = weight_share < 1
        self.device = default_device(device)
        self._bf16 = use_bf16(bf16, self.device)
        reference, _ = next(batches(data.train, reference_images, shuffle_seed=seed))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            supernet = self.space.supernet(reference)
        layout = torch.channels_last if self.device.type == "cuda" else torch.preserve_format
        self.supernet: Any = supernet.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        self._settings = (settings or self.supernet.settings, total_steps, seed)
        self._trainer: SupernetTrainer | None = None  # made when it is needed: most actors only evaluate
        self._prepared: Any = None  # of the images, until weights change
        self._passes: Passes | None = None
        if self.rotates:
            weights, policy = in_two(data.train, weight_share, seed=seed)
            self.data = replace(data, train=weights)
            self._passes = Passes(policy, score_images, seed=(seed, 1), device=self.device)
            self._images, self._labels = self._passes.batch(0)
        else:
            self._images, self._labels = next(
                batches(data.validation, score_images, shuffle_seed=seed, device=self.device)
            )

    def __deepcopy__(self, memo: Any) -> SupernetEvaluator:
        return self  # RLlib copies its configuration at every iteration

    @torch.inference_mode()
    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): validation accuracy, or minus the cross-entropy. ValueError on one that is not of the space.

        FailedEvaluations names those whose outputs are not finite.
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            if self._prepared is None:
                self._prepared = self.supernet.prepare(self._images)
            scores = [self._score(self.supernet.score(self._prepared, a).float()) for a in architectures]
        failed = [a.key for a, score in zip(architectures, scores, strict=True) if math.isnan(score)]
        if failed:
            raise FailedEvaluations(dict.fromkeys(failed, NOT_FINITE), np.array(scores))
        return check_scores(np.array(scores, dtype=np.float64), architectures, self.metric)

    def _score(self, logits: Tensor) -> float:
        if not logits.isfinite().all():
            return math.nan
        if self.metric == "accuracy":
            return (logits.argmax(1) == self._labels).double().mean().item()
        return -F.cross_entropy(logits, self._labels).item()

    def train_weights(self, steps: int) -> dict[str, float]:
        """Trains the weights for so many steps and raises `version`; `SupernetTrainer.train` says what it returns."""
        metrics = self.trainer.train(steps)
        self._move(self.version + 1)
        return metrics

    def before_update(self) -> None:
        """The next batch of images, where scores are of another one at each version."""
        if self.rotates:
            self._move(self.version + 1)

    def _move(self, version: int) -> None:
        """To a version: what was computed from weights and images of another one is forgotten."""
        self.version = version
        self._prepared = None
        if self._passes:
            self._images, self._labels = self._passes.batch(max(0, version - 1))

    @property
    def trainer(self) -> SupernetTrainer:
        if self._trainer is None:
            settings, total_steps, seed = self._settings
            self._trainer = SupernetTrainer(self.supernet, self.data, settings, total_steps=total_steps, seed=seed)
        return self._trainer

    def get_weights(self) -> dict[str, np.ndarray]:
        """A copy of the weights, to be handed to another evaluator of the same settings."""
        return {name: _copy(weight).numpy() for name, weight in self.supernet.state_dict().items()}

    def set_weights(self, weights: Mapping[str, np.ndarray], version: int) -> None:
        """Takes over the weights of another evaluator, and their version."""
        self.supernet.load_state_dict({name: as_tensor(weight) for name, weight in weights.items()})
        self._move(version)

    def state_dict(self) -> dict[str, Any]:
        """Weights, version, and where training stands."""
        trainer = self._trainer.state_dict() if self._trainer else None
        weights = {name: _copy(weight) for name, weight in self.supernet.state_dict().items()}
        return {"version": self.version, "weights": weights, "trainer": trainer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on as the evaluator that gave the state would have."""
        self.supernet.load_state_dict(state["weights"])
        self._move(state["version"])
        self._trainer = None
        if state["trainer"] is not None:
            self.trainer.load_state_dict(state["trainer"])

    def close(self) -> None:
        """Gives back the GPU's memory; the evaluator is of no use after it."""
        self._prepared = self._trainer = self._passes = None
        self.supernet.to("meta")
        del self._images, self._labels
        free_memory(self.device)


def _copy(weight: Tensor) -> Tensor:
    """On the CPU and contiguous, whatever the layout on the device: others pickle without a copy only then."""
    return weight.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
