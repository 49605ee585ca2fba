"""What a run's policy does to architectures, beside random transformations at the same number of evaluations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import Progress

from natrl.core.architecture import Architecture
from natrl.core.genotypes import zoo
from natrl.evaluation import CachedEvaluator, Evaluator
from natrl.policies import load_policy, Policy
from natrl.report.scores import CandidateScores
from natrl.runs.directory import read_config
from natrl.runs.metrics import last_result
from natrl.runs.settings import RunSettings
from natrl.search.random_transform import random_transforms
from natrl.spaces import Space
from natrl.tuning.finalists import candidate_row
from natrl.tuning.restore import restored_evaluator

__all__ = ["compare_with_random", "originals"]

SAMPLES = 10  # of the policy, besides its most probable transformation
DRAWS = 20  # random transformations drawn for each different one that is wanted


def compare_with_random(run: Path, *, n: int = 20, seed: int = 0, progress: Progress | None = None) -> CandidateScores:
    """The candidates of `n` originals by the run's policy and as many random ones, scored by the run's evaluator.

    Supernet scores are those of the last checkpoint's weights. `progress` shows the originals. ValueError if the run
    has no policy or evaluator to do it with, or each evaluation would be a training.
    """
    if n < 2:
        raise ValueError(f"a comparison needs at least 2 architectures, got {n}")
    settings = RunSettings.from_dict(read_config(run)["settings"])
    if settings.evaluator.kind.trains:
        raise ValueError("each candidate would be trained from scratch; natrl evaluate trains those that you choose")
    policy, evaluator = load_policy(run), _evaluator(run, settings)
    space, skeleton = policy.space, settings.evaluator.skeleton or getattr(policy.space, "skeleton", None)
    if skeleton is not None:
        data = getattr(evaluator.inner, "data", None)  # of a supernet
        skeleton = skeleton if data is None else skeleton.fitted(data)
        space = space.on(skeleton)
    task = progress.add_task("comparison", total=n, note="") if progress is not None else None
    rows: list[dict[str, Any]] = []
    for i, (name, original) in enumerate(originals(policy.space, n, seed).items()):
        rng = np.random.default_rng([seed, i, 2])
        proposed = policy.transform(original, n=SAMPLES, seed=seed + i)
        first = proposed.best
        by_policy = [first, *(a for a in proposed.architectures if a not in (original, first))]
        by_chance = _random(policy, original, len(by_policy), rng)
        for method, found in (("original", [original]), ("policy", by_policy), ("random", by_chance)):
            rows += _rows(name, method, found, evaluator, space)
        if progress is not None and task is not None:
            progress.advance(task)
    iteration = int(last_result(run)["training_iteration"])
    reward = settings.evaluator.reward.replace(":", " ")
    return CandidateScores(reward, evaluator.metric, skeleton, pd.DataFrame(rows), iteration)


def originals(space: Space, n: int, seed: int = 0) -> dict[str, Architecture]:
    """A network as it is, or the papers' architectures that are of the space, then random ones; n in all."""
    found: dict[str, Architecture] = {} if space.original is None else {"original": space.original}
    for name, architecture in zoo().items():
        if name.startswith("NAT"):  # what the papers made of the others
            continue
        try:
            found[name] = space.check(architecture)
        except ValueError:
            continue
    rng = np.random.default_rng([seed, 1])
    while len(found) < n:
        found[f"random {len(found) + 1}"] = space.sample(rng)
    return dict(list(found.items())[:n])


def _evaluator(run: Path, settings: RunSettings) -> CachedEvaluator:
    """The run's evaluator; a table itself, even where a surrogate stood before it."""
    if settings.evaluator.kind.free:
        return CachedEvaluator(replace(settings.evaluator, surrogate=None, actors=0)())
    return restored_evaluator(run)


def _random(policy: Policy, original: Architecture, n: int, rng: np.random.Generator) -> list[Architecture]:
    """Up to n different random valid transformations, under the policy's own masks."""
    drawn = random_transforms(policy.space, original, DRAWS * n, rng, rule=policy.rule, cost=policy.cost)
    return [a for a in dict.fromkeys(drawn) if a != original][:n]


def _rows(
    name: str, method: str, architectures: list[Architecture], evaluator: Evaluator, space: Space
) -> list[dict[str, Any]]:
    scores = evaluator.evaluate(architectures) if architectures else np.empty(0)
    return [
        candidate_row(name, method, place, architecture, space, score)
        for place, (architecture, score) in enumerate(zip(architectures, scores.tolist(), strict=True))
    ]
