"""Scores of replaced networks from one supernet whose weights are trained in turns with the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice
from natrl.data import batches, ImageData
from natrl.data.arrays import as_tensor
from natrl.evaluation.base import check_scores, Evaluator, FailedEvaluations, Metric
from natrl.evaluation.inherited import held_images
from natrl.modules.inherit.least_squares import recalibrating
from natrl.modules.space import ModuleSpace
from natrl.modules.supernet import ModuleSupernet
from natrl.training.device import default_device
from natrl.training.fitting import measure
from natrl.training.modes import in_mode

__all__ = ["ModuleSupernetEvaluator"]

CLIP = 5.0  # largest norm of the gradient


class ModuleSupernetEvaluator(Evaluator):
    """Validation score of an architecture as a path of a supernet (natrl.modules.supernet), weights shared.

    Batch-norms take the statistics of a few unlabelled training images on that path first; what they held is put back.
    `train_weights` trains random paths; until then scores are those of inherited weights, each choice fitted by itself.
    The test split is not held.
    """

    def __init__(
        self,
        space: ModuleSpace,
        data: ImageData,
        *,
        metric: Metric = "accuracy",
        learning_rate: float = 0.01,
        batch_size: int = 64,
        reference_images: int = 256,
        validation_images: int = 512,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        """ValueError on an unknown metric or bad numbers, or where outputs are not one for each class of the data."""
        check_choice("metric", metric, Metric)
        self.metric = metric
        self.version = 0
        self.space = space
        self.device = default_device(device)
        self._train, self._batch_size = data.train, batch_size
        self._images, self._validation = held_images(space.model, data, reference_images, validation_images, seed)
        self._rng = np.random.default_rng(seed)
        self.supernet = ModuleSupernet(space, self._images, seed=seed).to(self.device)
        self._optimizer = torch.optim.SGD(self.supernet.parameters(), learning_rate, momentum=0.9, weight_decay=5e-4)

    def __deepcopy__(self, memo: Any) -> ModuleSupernetEvaluator:
        return self  # RLlib copies its configuration at every iteration

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). FailedEvaluations names those whose outputs are not finite."""
        scores, failures = np.full(len(architectures), np.nan), {}
        images = self._images.to(self.device)
        for i, architecture in enumerate(architectures):
            self.supernet.select(architecture)
            with self._statistics_put_back():
                with recalibrating(self.supernet), torch.no_grad():
                    self.supernet(images)
                try:
                    measured = measure(self.supernet, self._validation, device=self.device)
                except FloatingPointError as error:
                    failures[architecture.key] = str(error)
                    continue
            scores[i] = measured.accuracy if self.metric == "accuracy" else -measured.cross_entropy
        if failures:
            raise FailedEvaluations(failures, scores)
        return check_scores(scores, architectures, self.metric)

    @contextmanager
    def _statistics_put_back(self) -> Iterator[None]:
        norms = [m for m in self.supernet.modules() if isinstance(m, _BatchNorm)]
        held = [{name: buffer.clone() for name, buffer in norm.named_buffers(recurse=False)} for norm in norms]
        try:
            yield
        finally:
            for norm, buffers in zip(norms, held, strict=True):
                for name, buffer in buffers.items():
                    getattr(norm, name).copy_(buffer)

    def train_weights(self, steps: int) -> dict[str, float]:
        """So many steps, each on a random path: the mean loss and accuracy on training images."""
        losses, correct, count = [], 0, 0
        with in_mode(self.supernet, training=True):
            for images, labels in self._steps(steps):
                self.supernet.select(self.space.sample(self._rng))
                logits = self._logits(images)
                loss = functional.cross_entropy(logits, labels)
                self._optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.supernet.parameters(), CLIP)
                self._optimizer.step()
                losses.append(loss.item())
                correct, count = correct + int((logits.argmax(1) == labels).sum()), count + len(labels)
        self.version += 1
        return {"loss": float(np.mean(losses)), "accuracy": correct / count}

    def _logits(self, images: Tensor) -> Tensor:
        outputs = self.supernet(images)
        return outputs[0] if isinstance(outputs, tuple) else outputs  # others are of auxiliary heads

    def _steps(self, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """So many batches of training images, epoch after epoch."""
        while steps > 0:
            seed = int(self._rng.integers(2**31))
            for batch in batches(self._train, self._batch_size, shuffle_seed=seed, device=self.device):
                yield batch
                steps -= 1
                if not steps:
                    return

    def get_weights(self) -> dict[str, np.ndarray]:
        """A copy of the weights, to be handed to another evaluator of the same settings."""
        return {name: weight.detach().cpu().numpy().copy() for name, weight in self.supernet.state_dict().items()}

    def set_weights(self, weights: Mapping[str, np.ndarray], version: int) -> None:
        """Takes over the weights of another evaluator, and their version."""
        self.supernet.load_state_dict({name: as_tensor(weight) for name, weight in weights.items()})
        self.version = version

    def state_dict(self) -> dict[str, Any]:
        """Weights, version, the optimizer's and the random state."""
        return {
            "version": self.version,
            "weights": {name: weight.detach().cpu().clone() for name, weight in self.supernet.state_dict().items()},
            "optimizer": self._optimizer.state_dict(),
            "random": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on as the evaluator that gave the state would have."""
        self.supernet.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rng.bit_generator.state = state["random"]
        self.version = state["version"]
