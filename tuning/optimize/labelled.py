"""A named score on data: what candidates are scored by, trained by, and told by in the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor
from torch.utils.data import TensorDataset

from natrl.data import batches, ImageData
from natrl.data.examples import Examples
from natrl.data.labels import labels_of, size_of
from natrl.digests import digest
from natrl.evaluation.own_score import Score, scored
from natrl.evaluation.scores.guessing import guessing
from natrl.evaluation.scores.measured import Answers, MeasuredScore
from natrl.evaluation.scores.named import NamedScore
from natrl.modules.original import check_outputs, LIKELY
from natrl.modules.replace.copies import copied
from natrl.training.device import default_device, use_bf16
from natrl.training.distillation import Distillation
from natrl.training.fitting import fit
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.tasks import OwnTask, Tune

__all__ = ["LabelledTask"]

#: Of a schedule, what is said of a classifier's own loss and images.
OF_CLASSIFIERS = ("label_smoothing", "auxiliary", "cutout")


class LabelledTask(OwnTask):
    """A named score. Validation data chooses, training data is trained on with the loss of the score."""

    def __init__(
        self,
        model: nn.Module,
        named: NamedScore,
        data: Examples,
        expected: float | None,
        settings: OptimizeSettings,
    ) -> None:
        """ValueError where outputs do not answer labels, weights do not fit the classes, or the loss has no such term.

        The outputs are of validation examples, in evaluation mode.
        """
        self.named, self.data = named, data
        self.weights = self._class_weights(model, tuple(map(float, settings.class_weights)))
        self._check_schedule(settings)
        spec = settings.evaluator
        inputs, _ = next(batches(data.train, spec.reference_images, shuffle_seed=settings.seed))
        super().__init__(model, MeasuredScore(named, data.validation), None, (inputs.contiguous(),), expected)
        self.trains = self.has_epochs = True
        self.images, self.splits = data.describe(), data.indices

    def identity(self) -> dict[str, Any]:
        return {"data": self.data.name, "images": self.data.digest, "score": digest(self.named)}

    def original(self, model: nn.Module) -> str:
        line = super().original(model)
        if self.expected is None and size_of(self.data.validation) > 1:
            network = copied(model).to(default_device())
            answers, turned = guessing(self.named, network, self.data.validation, seed=0)
            if answers <= turned:
                what = f"no better than its answers to other examples ({turned:.3g})"
                raise ValueError(f"{line}, {what}; {LIKELY}; a number as expect_accuracy goes on all the same")
        return line

    def searched(self, settings: OptimizeSettings) -> Score:
        """On as many validation examples as the settings say."""
        few = settings.evaluator.score_images
        if few >= size_of(self.data.validation):
            return self.score
        return MeasuredScore(
            self.named, TensorDataset(*next(batches(self.data.validation, few, shuffle_seed=settings.seed)))
        )

    def training(self, settings: OptimizeSettings, original: nn.Module) -> Tune:
        teacher = copied(original).cpu() if settings.distill and self.named.targets.classes else None
        nothing = TensorDataset(torch.zeros(0))
        train = replace(self.data, validation=nothing, test=nothing)
        return Training(self.named, train, settings, self.weights, teacher)

    def figures(self, network: nn.Module) -> tuple[float, float | None]:
        ready = copied(network).to(default_device())
        return scored(self.score, ready), scored(MeasuredScore(self.named, self.data.test), ready)

    def _class_weights(self, model: nn.Module, given: tuple[float, ...]) -> tuple[float, ...]:
        if isinstance(self.data, ImageData):
            check_outputs(model, next(batches(self.data.validation, 2))[0], self.data)
        outputs, labels = _first_answers(model, self.data)
        self.named.targets.check(outputs, labels, type(model).__name__)
        classes = outputs.shape[1] if self.named.targets.classes else 0
        counted = self.named.balanced and not given
        return self.named.weights(labels_of(self.data.train) if counted else np.zeros(0, np.int64), classes, given)

    def _check_schedule(self, settings: OptimizeSettings) -> None:
        for name in OF_CLASSIFIERS:
            if getattr(settings.fine_tuning, name):
                what = f"fine_tuning.{name} is of training for accuracy"
                raise ValueError(f"{what}: leave it out with score {self.named.name!r}")


@torch.inference_mode()
def _first_answers(model: nn.Module, data: Examples) -> tuple[Any, Tensor]:
    """What a copy of the network gives for two validation examples, and their labels."""
    answering = Answers(copied(model).eval())
    inputs, labels = next(batches(data.validation, 2))
    weight = next(answering.parameters(), inputs)
    return answering(inputs.to(weight.device)), labels


@dataclass(frozen=True)
class Training:
    """tune: the schedule of the settings, with the loss of the score; and where there are classes, distillation."""

    named: NamedScore
    data: Examples
    settings: OptimizeSettings
    weights: tuple[float, ...]  # of the classes; empty: all alike
    teacher: nn.Module | None

    def __call__(self, network: nn.Module) -> None:
        """FloatingPointError where the loss is not finite."""
        settings, device = self.settings, default_device()
        weights = torch.tensor(self.weights, device=device) if self.weights else None
        fit(
            Answers(network),
            self.data,
            settings.fine_tuning,
            seed=settings.seed,
            device=device,
            amp=use_bf16(settings.evaluator.bf16, device),
            distillation=None if self.teacher is None else Distillation(Answers(self.teacher)),
            loss=partial(self.named.loss, weights=weights),
        )
