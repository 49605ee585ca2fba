"""A trained network in, one of half its cost out: what `natrl.optimize` is for, on digits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import Progress
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.data import batches, ImageData, load_data
from natrl.demo.digits import Digits
from natrl.demo.settings import NetworkSettings
from natrl.evaluation.divergence import DivergenceEvaluator
from natrl.evaluation.ledger.file import read_ledger
from natrl.evaluation.pool.evaluator import PoolEvaluator
from natrl.modules.importing import from_module
from natrl.modules.space import ModuleSpace
from natrl.policies.limits import LATENCIES
from natrl.report.side_by_side import Compared
from natrl.runs.directory import ledger_file
from natrl.search.random_transform import best_of_random, random_within
from natrl.timing.latency import Latency, measure_latency
from natrl.training.fitting import fit, measure
from natrl.training.schedule import Schedule
from natrl.tuning.optimize import optimize, Optimized
from natrl.tuning.optimize.fine_tunings import fine_tuned_alike
from natrl.tuning.optimize.settings import Method
from natrl.tuning.progress import progress_bar, working

__all__ = ["network"]


METHODS: dict[Method, str] = {"policy": "natrl, a policy", "additive": "natrl, additive"}


def network(settings: NetworkSettings, out: Path) -> tuple[list[Compared], Optimized]:
    """The original, the same fine-tuned, and what natrl and others made of it within the budget; Ray must run.

    Results are in `out`/policy and `out`/additive, new folders. The test split is read here, once for each row.
    """
    data = load_data("digits", seed=settings.seed)
    with progress_bar() as bar:
        _check_budget(data, settings)
        model = trained(data, settings, bar)
    policy, additive = (_optimized(model, data, settings, method, out) for method in METHODS)
    found = policy.found
    original = _Made("the original", found.space.architecture, model)
    with progress_bar() as bar:
        rows = [original, *_by_others(policy, data, settings, bar), additive.made, policy.made]
        with working(bar, "times"):
            times = _times([row.network for row in rows], _example(data))
    return [_measured(row, found.space, data, latency) for row, latency in zip(rows, times, strict=True)], found


def _check_budget(data: ImageData, settings: NetworkSettings) -> None:
    """ValueError where random search, which others are compared with, would find nothing so cheap."""
    space = from_module(Digits(), _example(data), moves=settings.optimize(method="policy").moves)
    madds = settings.budget * space.cost(space.architecture).madds
    random_within(space, space.architecture, madds=madds, seed=settings.seed)


def _example(data: ImageData) -> Tensor:
    return next(batches(data.validation, 2))[0]


class _Made(NamedTuple):
    """A row of the comparison, before it is measured."""

    name: str
    architecture: Architecture
    network: nn.Module
    seconds: float = 0
    evaluations: int = 0


class _Ours(NamedTuple):
    made: _Made
    found: Optimized


def _optimized(model: nn.Module, data: ImageData, settings: NetworkSettings, method: Method, out: Path) -> _Ours:
    """What natrl makes of the network by a method."""
    start = time.perf_counter()
    given, budget = settings.optimize(method=method), {"madds": settings.budget}
    found = optimize(model, data=data, budget=budget, settings=given, out=out / method)
    seconds, paid = time.perf_counter() - start, len(read_ledger(ledger_file(found.directory)))
    return _Ours(_Made(METHODS[method], found.architecture, found.model, seconds, paid), found)


def _by_others(ours: _Ours, data: ImageData, settings: NetworkSettings, bar: Progress) -> list[_Made]:
    """What is fine-tuned as natrl's networks are: the original, and the best of as many random ones as natrl scored."""
    assert ours.found.tuned_original_model is not None
    found, scores = ours.found, ours.made.evaluations
    space, before, start = found.space, found.space.architecture, time.perf_counter()
    budget = settings.budget * found.before.cost.madds
    cheapest = random_within(space, before, madds=budget, seed=settings.seed)[0]
    madds = max(found.after.cost.madds, space.cost(cheapest).madds)
    scorer = PoolEvaluator(
        partial(DivergenceEvaluator, space, data, seed=settings.seed),
        actors=settings.actors,
        num_gpus=settings.gpus_per_actor,
    )
    with working(bar, "random search"), closing(scorer):
        drawn = best_of_random(space, before, scorer, madds=madds, scores=scores, seed=settings.seed)
    seconds = time.perf_counter() - start
    with working(bar, "fine-tuned alike"):
        tuned = fine_tuned_alike(found.space, {"": drawn}, data, settings.optimize(method="policy"))[""]
    alike = _Made("fine-tuned alike", before, ours.found.tuned_original_model)
    return [alike, _Made("random search", drawn, tuned, seconds, scores)]


def _measured(row: _Made, space: ModuleSpace, data: ImageData, latency: tuple[Latency, ...]) -> Compared:
    cost, accuracy = space.cost(row.architecture), measure(row.network, data.test).accuracy
    return Compared(row.name, accuracy, cost.madds, cost.params, latency, row.seconds, row.evaluations)


def trained(data: ImageData, settings: NetworkSettings, bar: Progress) -> Digits:
    """The original, in evaluation mode."""
    torch.manual_seed(settings.seed)
    model = Digits()
    schedule = Schedule(epochs=settings.epochs, batch_size=64, learning_rate=0.1, warmup=0.1, weight_decay=5e-4)
    task = bar.add_task("the original's training", total=settings.epochs, note="")
    fit(model, data, schedule, seed=settings.seed, on_epoch=lambda epoch, _: bar.update(task, completed=epoch))
    return model.eval()


def _times(networks: Sequence[nn.Module], example: Tensor) -> list[tuple[Latency, ...]]:
    """Of each network, for one image and for a batch, measured in turns."""
    measured = [measure_latency(networks, example, batch=batch) for batch in LATENCIES.values()]
    return list(zip(*measured, strict=True))
