"""The papers' setting: train, transform, choose, retrain. What it can show is said in docs/demo.md."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from natrl.core.architecture import Architecture
from natrl.core.genotypes import zoo
from natrl.data import ImageData, load_data
from natrl.data.labels import size_of
from natrl.demo.settings import CellsSettings
from natrl.export.folder import export_architectures, Weights
from natrl.policies import load_policy, Policy
from natrl.report.results import Correlation, Results, Trained
from natrl.report.scores import CANDIDATES, write_candidates
from natrl.runs.directory import versions
from natrl.search.random_transform import cost_matched_random
from natrl.spaces import network_cost, Skeleton, Space
from natrl.training.fitting import TrainingResult
from natrl.tuning.comparison import train_all
from natrl.tuning.finalists import candidate_scores, choose, Finalist
from natrl.tuning.progress import progress_bar, working
from natrl.tuning.restore import restored_evaluator
from natrl.tuning.run import train

__all__ = ["demonstrate"]

NAMED = ("VGG", "Mobilenetv2", "DARTS")
RANDOM = 1  # random architectures beside the named ones
FINALISTS = 2  # candidates that are trained on validation data, besides the original
CHOICE_SEEDS = (1000, 1001)  # other seeds than those of the final training


def demonstrate(settings: CellsSettings, out: Path, *, command: str) -> Results:
    """Runs the demo in a new run directory and returns what came of it; Ray must run."""
    clock: dict[str, float] = {}
    data = load_data(settings.data, seed=settings.seed, image_size=settings.image_size)
    skeleton = Skeleton(channels=8, cells=3).fitted(data)
    with progress_bar() as bar:
        with timed(clock, "policy"):
            train(settings.run, out, command=command, progress=bar)
        policy = load_policy(out)
        originals = draw_originals(policy.space, settings.seed)
        with timed(clock, "choice"):
            with working(bar, "candidates"):
                finalists = choose_finalists(policy, originals, out, settings.seed)
            trained = train_finalists(finalists, skeleton, data, settings, bar)
            chosen = {
                name: choose(candidates, partial(network_cost, skeleton=skeleton))
                for name, candidates in trained.items()
            }
        with timed(clock, "retraining"):
            rows, weights = retrain(originals, chosen, policy, skeleton, data, settings, bar)
    transformed = {row.name: (row.architecture, weights[row.name]) for row in rows if row.variant == "transformed"}
    export_architectures(transformed, skeleton, out / "models")
    write_candidates(candidate_scores(trained, skeleton, len(CHOICE_SEEDS)), out / CANDIDATES)
    pairs = [
        (f.proxy, float(np.mean(f.validation)), float(network_cost(f.architecture, skeleton).madds))
        for candidates in trained.values()
        for f in candidates
        if f.proxy is not None
    ]
    return Results(
        data=data.name,
        skeleton=skeleton,
        seeds=tuple(range(settings.seeds)),
        rows=tuple(rows),
        schedule=asdict(settings.schedule(size_of(data.train))),
        correlation=Correlation.of(pairs),
        command=command,
        versions=versions(),
        seconds=clock,
    )


def draw_originals(space: Space, seed: int) -> dict[str, Architecture]:
    """The named architectures, and random ones that no policy was trained on."""
    rng = np.random.default_rng([seed, 1])
    known = {name: zoo()[name] for name in NAMED}
    return known | {f"sampled {i + 1}": space.sample(rng) for i in range(RANDOM)}


def choose_finalists(
    policy: Policy, originals: dict[str, Architecture], run: Path, seed: int
) -> dict[str, list[tuple[Architecture, float]]]:
    """For each architecture itself and the policy's best candidates, with the supernet's scores."""
    supernet = restored_evaluator(run)
    finalists = {}
    for name, original in originals.items():
        candidates = policy.transform(original, n=10, evaluator=supernet, seed=seed)
        assert candidates.scores is not None
        ranked = [candidates.architectures[i] for i in np.argsort(-candidates.scores, kind="stable")]
        asked = [original, *[a for a in ranked if a != original][:FINALISTS]]
        finalists[name] = list(zip(asked, supernet.evaluate(asked).tolist(), strict=True))
    return finalists


def train_finalists(
    finalists: dict[str, list[tuple[Architecture, float]]],
    skeleton: Skeleton,
    data: ImageData,
    settings: CellsSettings,
    bar: Progress,
) -> dict[str, list[Finalist]]:
    """Short trainings; only validation data is read."""
    flat = [(name, a, proxy) for name, candidates in finalists.items() for a, proxy in candidates]
    architectures = [a for _, a, _ in flat]
    trained = _train("choice", architectures, skeleton, data, CHOICE_SEEDS, settings, bar)
    result: dict[str, list[Finalist]] = {name: [] for name in finalists}
    for (name, a, proxy), results in zip(flat, trained, strict=True):
        result[name].append(Finalist(a, proxy, _validation(results)))
    return result


def retrain(
    originals: dict[str, Architecture],
    chosen: dict[str, Finalist],
    policy: Policy,
    skeleton: Skeleton,
    data: ImageData,
    settings: CellsSettings,
    bar: Progress,
) -> tuple[list[Trained], dict[str, Weights]]:
    """Originals, what was made of them, and random transformations of the same cost; here test data is read, once.

    And the weights of the transformed ones, by name, from the first seed's training.
    """
    space: Any = policy.space.on(skeleton)  # the MAdds of the networks that are trained here
    named: list[tuple[str, str, Architecture]] = []
    for name, original in originals.items():
        after = chosen[name].architecture
        matched = cost_matched_random(space, original, space.cost(after).madds, settings.seed)
        named += [(name, "original", original), (name, "transformed", after), (name, "random", matched)]
    architectures = [a for _, _, a in named]
    seeds = tuple(range(settings.seeds))
    trained = _train("retraining", architectures, skeleton, data, seeds, settings, bar, read_test=True)
    rows = [
        Trained.measured(name, variant, a, skeleton, validation=_validation(results), test=_test(results))  # type: ignore[arg-type]
        for (name, variant, a), results in zip(named, trained, strict=True)
    ]
    pairs = zip(named, trained, strict=True)
    return rows, {name: results[0].weights for (name, variant, _), results in pairs if variant == "transformed"}


def _train(
    label: str,
    architectures: list[Architecture],
    skeleton: Skeleton,
    data: ImageData,
    seeds: tuple[int, ...],
    settings: CellsSettings,
    bar: Progress,
    *,
    read_test: bool = False,
) -> list[list[TrainingResult]]:
    """The results of each architecture, one a seed, with the weights of the first where test data is read."""
    total = len({a.key for a in architectures}) * len(seeds)
    task = bar.add_task(label, total=total, note="")
    return train_all(
        architectures,
        skeleton,
        data,
        settings.schedule(size_of(data.train)),
        seeds=seeds,
        read_test=read_test,
        keep_weights=read_test,
        num_gpus=settings.gpus_per_actor,
        on_result=lambda: bar.advance(task),
    )


def _validation(results: list[TrainingResult]) -> tuple[float, ...]:
    return tuple(r.validation_accuracy for r in results)


def _test(results: list[TrainingResult]) -> tuple[float, ...]:
    return tuple(r.test_accuracy for r in results if r.test_accuracy is not None)


@contextmanager
def timed(clock: dict[str, float], name: str) -> Iterator[None]:
    """Stores the seconds that the body took."""
    start = time.perf_counter()
    yield
    clock[name] = time.perf_counter() - start
