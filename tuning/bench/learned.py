"""Learned methods: a policy trained through RLlib as users run it, applied to architectures it never started from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from natrl.architecture import Architecture
from natrl.policies import Policy
from natrl.policies.network import Head, PolicyConfig
from natrl.rllib.config import algorithm_config
from natrl.rllib.settings import AlgorithmName, LearnSettings
from natrl.tuning.bench.methods import BenchMethod, Outcome, register_method, Snapshot, Task

__all__ = ["CANDIDATES", "candidates", "learn", "learn_settings", "starts"]

CANDIDATES = 10  # the papers' n: the most probable transformation and different samples
DRAWS = 40  # samples drawn of which the different ones are taken
SNAPSHOTS = 12  # points of a curve
ROOMY = 10_000  # queries from which on every training architecture is a start
SHARE = 16  # below: queries for each start of a fixed pool

SETTINGS: dict[AlgorithmName, LearnSettings] = {
    "ppo": LearnSettings(),
    "reinforce": LearnSettings(algorithm="reinforce", group_size=4, entropy=0.03),
}


def learn(algorithm: AlgorithmName, head: Head) -> Callable[[Task], Outcome]:
    """Trains a policy until its schedule ends or the budget might not cover the next batch; Ray must run."""

    def run(task: Task) -> Outcome:
        settings = learn_settings(algorithm, task.evaluator.limit)
        environment = {
            "space": task.space,
            "build_evaluator": lambda: task.evaluator,
            "rule": task.rule,
            "cost": task.cost,
            "initial": starts(task),
        }
        config = algorithm_config(
            settings, PolicyConfig(primitives=task.space.primitives, head=head), environment, seed=task.seed
        )
        trainer = config.build_algo()
        history = []
        try:
            for iteration in range(settings.iterations):
                if task.evaluator.remaining < 2 * settings.batch_size:  # an episode evaluates β and α
                    break
                trainer.train()
                if iteration % (settings.iterations // SNAPSHOTS + 1) == 0:
                    history.append(Snapshot(task.evaluator.evaluations, _transform(trainer.policy(), task)))
            answer = _transform(trainer.policy(), task)
            history.append(Snapshot(task.evaluator.evaluations, answer))
            return Outcome(answer, candidates(trainer.policy(), task.held_out, task.seed), tuple(history))
        finally:
            trainer.stop()

    return run


def learn_settings(algorithm: AlgorithmName, queries: int) -> LearnSettings:
    """The settings for a budget. ValueError if it does not cover one batch."""
    settings = SETTINGS[algorithm]
    if queries < 2 * settings.batch_size:
        raise ValueError(
            f"--queries {queries} is less than one batch of a learned method: {settings.batch_size} episodes evaluate "
            f"up to {2 * settings.batch_size} architectures"
        )
    return settings


def starts(task: Task) -> list[Architecture]:
    """The initial architectures to learn from: all, or a fixed random pool where the budget is small."""
    if task.evaluator.limit >= ROOMY:
        return list(task.training)
    rng = np.random.default_rng(task.seed)
    chosen = rng.permutation(len(task.training))[: max(1, task.evaluator.limit // SHARE)]
    return [task.training[i] for i in sorted(chosen)]


def candidates(
    policy: Policy, architectures: Sequence[Architecture], seed: int, n: int = CANDIDATES
) -> tuple[tuple[Architecture, ...], ...]:
    """For each architecture itself, and up to n different others: the policy's most probable one, then samples."""
    found = [{a.key: a} for a in architectures]
    for draw in range(1 + DRAWS):
        drawn = policy.transform_batch(architectures, deterministic=draw == 0, seed=DRAWS * seed + draw)
        for mine, candidate in zip(found, drawn, strict=True):
            if len(mine) <= n:
                mine.setdefault(candidate.key, candidate)
    return tuple(tuple(mine.values()) for mine in found)


def _transform(policy: Policy, task: Task) -> tuple[Architecture, ...]:
    return tuple(policy.transform_batch(task.held_out))


_HEADS: dict[AlgorithmName, tuple[Head, ...]] = {
    "reinforce": ("lstm", "joint", "autoregressive"),
    "ppo": ("joint", "autoregressive"),
}
for _algorithm, _heads in _HEADS.items():
    for _head in _heads:
        register_method(BenchMethod(f"{_algorithm}-{_head}", learn(_algorithm, _head), learned=True))
