"""A trained network in, one of half its cost out: what `natrl.optimize` is for, on digits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
from torch import nn, Tensor

from natrl.checks.fields import Amount, check_fields, Count, Range, Seed
from natrl.core.architecture import Architecture
from natrl.core.operations import Cost
from natrl.data import batches, ImageData, load_data
from natrl.evaluation.ledger.file import read_ledger
from natrl.policies.limits import LATENCIES
from natrl.report.side_by_side import Network
from natrl.runs.directory import ledger_file
from natrl.search.random_transform import cost_matched_random
from natrl.timing.latency import Latency, measure_latency
from natrl.training.fitting import fit, measure
from natrl.training.schedule import FINE_TUNING, Schedule
from natrl.tuning.optimize import optimize, Optimized, OptimizeSettings
from natrl.tuning.optimize.alike import fine_tuned_alike
from natrl.tuning.optimize.settings import Method
from natrl.tuning.presets import NETWORK_LEARN

__all__ = ["Digits", "NetworkSettings", "network"]


class Digits(nn.Module):
    """A residual network for images of one channel, with a 5×5 stem and kernels of 3 and 5."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.stem = _block(1, channels, 5)
        self.first, self.second = _block(channels, channels, 3), _block(channels, channels, 3)
        self.down, self.third = _block(channels, 2 * channels, 3, stride=2), _block(2 * channels, 2 * channels, 5)
        self.fourth = _block(2 * channels, 2 * channels, 3)
        self.classifier = nn.Linear(2 * channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.second(self.first(x))
        x = self.down(x)
        x = x + self.fourth(self.third(x))
        return self.classifier(x.mean((2, 3)))


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


@dataclass(frozen=True)
class NetworkSettings:
    """What `natrl demo network` does."""

    budget: Annotated[float, Range(0, 1, above=True)] = 0.5  # share of the MAdds
    epochs: Count = 20  # of the original's training
    iterations: Count = 8  # of the policy
    tuning_epochs: Count = 6  # of each finalist
    finalists: Count = 3
    candidates: Count = 24
    actors: Count = 2
    gpus_per_actor: Amount = 0.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def optimize(self, *, method: Method) -> OptimizeSettings:
        usual = OptimizeSettings()
        learn = replace(usual.learn, **NETWORK_LEARN | {"iterations": self.iterations})
        return replace(
            usual,
            method=method,
            learn=usual.learn if method == "additive" else learn,
            evaluator=replace(usual.evaluator, actors=self.actors, num_gpus=self.gpus_per_actor),
            fine_tuning=replace(FINE_TUNING, epochs=self.tuning_epochs),
            finalists=self.finalists,
            candidates=self.candidates,
            seed=self.seed,
        )


def network(settings: NetworkSettings, out: Path) -> tuple[list[Network], Optimized]:
    """The original, the same fine-tuned, and what natrl and others made of it within the budget; Ray must run.

    Results are in `out`/policy and `out`/additive, new folders. The test split is read here, once for each row.
    """
    data = load_data("digits", seed=settings.seed)
    model, seconds = trained(data, settings), {}
    results: dict[Method, Optimized] = {}
    methods: tuple[Method, ...] = ("policy", "additive")
    for method in methods:
        start = time.perf_counter()
        given = settings.optimize(method=method)
        results[method] = optimize(
            model, data=data, budget={"madds": settings.budget}, settings=given, out=out / method
        )
        seconds[method] = time.perf_counter() - start
    found = results["policy"]
    others = {
        "fine-tuned alike": found.space.architecture,
        "random, same cost": cost_matched_random(
            found.space, found.space.architecture, found.after.cost.madds, settings.seed
        ),
    }
    tuned = fine_tuned_alike(found, others, data, settings.optimize(method="policy"))
    rows: list[tuple[str, Architecture, nn.Module, float, int]] = [
        ("the original", found.space.architecture, model, 0, 0)
    ]
    rows += [(name, others[name], tuned[name], 0, 0) for name in others]
    names: dict[Method, str] = {"additive": "natrl, additive", "policy": "natrl, a policy"}
    for method, name in names.items():
        of = results[method]
        rows.append((name, of.architecture, of.model, seconds[method], len(read_ledger(ledger_file(of.directory)))))
    times = _times([each for _, _, each, _, _ in rows], next(batches(data.validation, 2))[0])
    compared = []
    for (name, architecture, each, took, evaluations), latency in zip(rows, times, strict=True):
        cost: Cost = found.space.cost(architecture)
        accuracy = measure(each, data.test).accuracy
        compared.append(Network(name, accuracy, cost.madds, cost.params, latency, took, evaluations))
    return compared, found


def trained(data: ImageData, settings: NetworkSettings) -> Digits:
    """The original, in evaluation mode."""
    torch.manual_seed(settings.seed)
    model = Digits()
    fit(
        model,
        data,
        Schedule(epochs=settings.epochs, batch_size=64, learning_rate=0.1, warmup=0.1, weight_decay=5e-4),
        seed=settings.seed,
    )
    return model.eval()


def _times(networks: Sequence[nn.Module], example: Tensor) -> list[tuple[Latency, ...]]:
    """Of each network, for one image and for a batch, measured in turns."""
    measured = [measure_latency(networks, example, batch=batch) for batch in LATENCIES.values()]
    return list(zip(*measured, strict=True))
