"""What every method is given, and what it gives."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from _networks import few, FINE_TUNINGS, NETWORKS, SCHEDULES, trained
from _rivals_measuring import Clock, madds
from torch import nn, Tensor

import natrl
from natrl.data import batches, ImageData
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.modules.space import ModuleSpace
from natrl.training.schedule import Schedule
from natrl.training.weights import read_weights, save_weights

__all__ = ["Found", "Job"]


@dataclass(frozen=True)
class Found:
    """What a method makes of a network."""

    network: nn.Module
    evaluations: int | None = None  # networks that were scored
    train: Callable[[nn.Module], object] | None = None  # in place of fine-tuning, which all others have
    tuned: bool = False  # it was trained by the method itself
    searched: float | None = None  # … and when (time.time()) the search was over


@dataclass(frozen=True)
class Job:
    """A trained network that is to keep to a share of its MAdds, and how whatever comes of it is trained on."""

    name: str
    width: float
    model: nn.Module
    data: ImageData
    training: Schedule  # of the original
    tuning: Schedule  # of all that is made of it, with the original as the teacher
    seed: int
    seconds: float  # CPU seconds of the original's training

    @staticmethod
    def of(options: argparse.Namespace, seed: int, kept: Path) -> Job:
        """Trained, or as it was trained before and kept in the folder."""
        data = few(options.data, options.image_size, options.train_images, seed)
        name = f"{options.network}-{options.width:g}-{options.data}-{options.image_size}"
        file = kept / f"{name}-{options.train_images}-{options.epochs}-{seed}.safetensors"
        spent = file.with_suffix(".json")
        if spent.exists():
            model = NETWORKS[options.network](data.image_channels, data.num_classes, options.width).eval()
            model.load_state_dict(read_weights(file))
        else:
            kept.mkdir(parents=True, exist_ok=True)
            with Clock() as clock:
                model = trained(options.network, options.width, data, epochs=options.epochs, seed=seed)
            save_weights(model, file)
            spent.write_text(json.dumps(clock.seconds))
        tuning = replace(FINE_TUNINGS[options.network], epochs=options.tuning_epochs)
        if options.tuning_rate is not None:
            tuning = replace(tuning, learning_rate=options.tuning_rate)
        return Job(
            options.network,
            options.width,
            model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
            data,
            replace(SCHEDULES[options.network], epochs=options.epochs),
            tuning,
            seed,
            json.loads(spent.read_text()),
        )

    @cached_property
    def example(self) -> Tensor:
        """(2, C, H, W)."""
        return next(batches(self.data.validation, 2))[0].contiguous()

    @cached_property
    def madds(self) -> int:
        return madds(self.model, self.example)

    @cached_property
    def space(self) -> ModuleSpace:
        return natrl.from_module(self.model, self.example, moves="all")

    @cached_property
    def inheritance(self) -> InheritedEvaluator:
        """What gives other architectures their weights, by least squares."""
        return InheritedEvaluator(self.space, self.data, seed=self.seed)
