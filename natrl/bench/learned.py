"""Learned methods: a policy trained through RLlib as users run it, applied to architectures it never started from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from natrl.bench.methods import BenchMethod, best_candidates, Outcome, Problem, Snapshot
from natrl.core.architecture import Architecture
from natrl.evaluation import Evaluator
from natrl.evaluation.base import LEAST_QUERIES
from natrl.evaluation.surrogate.evaluator import rounds_every, SurrogateEvaluator
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig
from natrl.policies.policy import TEMPERATURES
from natrl.rllib.config import algorithm_config
from natrl.rllib.settings import LearnSettings

__all__ = ["CANDIDATES", "candidates", "learning", "settings_for", "starts"]

CANDIDATES = 10  # the papers' n: the most probable transformation and different samples
DRAWS = 20  # samples drawn at each temperature (as `Policy.transform` does) of which the different ones are taken
SNAPSHOTS = 12  # points of a curve
ROOMY = 10_000  # queries from which on every training architecture is a start
SHARE = 12  # below: queries for each start of a fixed pool
SMALL_BATCH = 64  # … and episodes an iteration
SMALL_ITERATIONS = 500

SETTINGS: dict[str, LearnSettings] = {
    "ppo": LearnSettings(iterations=500, entropy=0.1),  # twice the usual training, chosen by the capture of the signal
    "reinforce": LearnSettings(algorithm="reinforce", group_size=4, entropy=0.03),
}
#: From predictions, which are free: chosen on seeds from 100 on.
FROM_MODEL = LearnSettings(iterations=120, entropy=0.1, reward_scale=100.0)


def learning(algorithm: str, head: str) -> Callable[[Problem], Outcome]:
    """Trains a policy until its schedule ends or the budget might not cover the next batch; Ray must run."""

    def run(problem: Problem) -> Outcome:
        settings, initial = settings_for(algorithm, problem.evaluator.limit), starts(problem)
        return train(
            problem, settings, head, initial, problem.evaluator, lambda: covers_batch(problem, initial, settings)
        )

    return run


def learn_from_surrogate(problem: Problem) -> Outcome:
    """PPO's policy whose rewards a surrogate predicts, which spends the whole budget; Ray must run.

    The answer is that of its candidates which the surrogate predicts the most of: it asks for no evaluation. Points of
    the curve before the last one are of the policy's argmax.
    """
    surrogate = SurrogateEvaluator(
        problem.evaluator, queries=problem.evaluator.limit, every=rounds_every(FROM_MODEL.iterations), seed=problem.seed
    )
    learned = train(problem, FROM_MODEL, "autoregressive", problem.training, surrogate, lambda: True)
    answer = best_candidates(learned, surrogate)
    last = Snapshot(problem.evaluator.evaluations, answer)
    return Outcome(answer, learned.candidates, (*learned.history[:-1], last))


def train(
    problem: Problem,
    settings: LearnSettings,
    head: str,
    initial: Sequence[Architecture],
    evaluator: Evaluator,
    affordable: Callable[[], bool],
) -> Outcome:
    """Trains a policy through RLlib for as long as it is affordable, and applies it to the held-out architectures."""
    environment = {
        "space": problem.space,
        "build_evaluator": lambda: evaluator,
        "rule": problem.rule,
        "cost": problem.cost,
        "initial": tuple(initial),
    }
    config = algorithm_config(
        settings, PolicyConfig(primitives=problem.space.primitives, head=head), environment, seed=problem.seed
    )
    with warnings.catch_warnings():  # RLlib registers its environment again for every algorithm of a process
        warnings.filterwarnings("ignore", ".*Overriding environment rllib-", UserWarning)
        trainer = config.build_algo()
    # Closer at the start, where most queries are new; the last one is the answer.
    marks = set(np.geomspace(1, settings.iterations, SNAPSHOTS).round().astype(int)[:-1].tolist())
    history = []
    try:
        for iteration in range(1, settings.iterations + 1):
            if not affordable():
                break
            trainer.train()
            if iteration in marks:
                history.append(Snapshot(problem.evaluator.evaluations, _transform(trainer.policy(), problem)))
        answer = _transform(trainer.policy(), problem)
        history.append(Snapshot(problem.evaluator.evaluations, answer))
        return Outcome(answer, candidates(trainer.policy(), problem.held_out, problem.seed), tuple(history))
    finally:
        trainer.stop()


def settings_for(algorithm: str, queries: int) -> LearnSettings:
    """The settings for a budget: small ones go further in small batches."""
    settings = SETTINGS[algorithm]
    if queries >= ROOMY:
        return settings
    return replace(settings, batch_size=SMALL_BATCH, minibatch_size=SMALL_BATCH // 2, iterations=SMALL_ITERATIONS)


def starts(problem: Problem) -> tuple[Architecture, ...]:
    """The initial architectures to learn from: all, or a fixed random pool where the budget is small."""
    if problem.evaluator.limit >= ROOMY:
        return tuple(problem.training)
    rng = np.random.default_rng(problem.seed)
    chosen = rng.permutation(len(problem.training))[: max(1, problem.evaluator.limit // SHARE)]
    return tuple(problem.training[i] for i in sorted(chosen))


def covers_batch(problem: Problem, initial: tuple[Architecture, ...], settings: LearnSettings) -> bool:
    """Whether the budget covers another batch, even if every architecture in it is new."""
    fresh = min(settings.batch_size // settings.group_size, problem.evaluator.unseen(initial))
    return problem.evaluator.remaining >= fresh + settings.batch_size


def candidates(
    policy: Policy, architectures: Sequence[Architecture], seed: int, n: int = CANDIDATES
) -> tuple[tuple[Architecture, ...], ...]:
    """For each architecture itself, and up to n different others: the policy's most probable one, then samples."""
    found = [{a.key: a} for a in architectures]
    draws = [(True, 1.0), *((False, temperature) for temperature in TEMPERATURES for _ in range(DRAWS))]
    for i, (deterministic, temperature) in enumerate(draws):
        drawn = policy.transform_batch(
            architectures, deterministic=deterministic, temperature=temperature, seed=len(draws) * seed + i
        )
        for mine, candidate in zip(found, drawn, strict=True):
            if len(mine) <= n:
                mine.setdefault(candidate.key, candidate)
    return tuple(tuple(mine.values()) for mine in found)


def _transform(policy: Policy, problem: Problem) -> tuple[Architecture, ...]:
    return tuple(policy.transform_batch(problem.held_out))


def _learned(algorithm: str, head: str) -> BenchMethod:
    return BenchMethod(f"{algorithm}-{head}", learning(algorithm, head), learned=True, least_queries=2 * SMALL_BATCH)


REINFORCE_LSTM = _learned("reinforce", "lstm")
REINFORCE_JOINT = _learned("reinforce", "joint")
REINFORCE_AUTOREGRESSIVE = _learned("reinforce", "autoregressive")
PPO_JOINT = _learned("ppo", "joint")
PPO_AUTOREGRESSIVE = _learned("ppo", "autoregressive")
SURROGATE = BenchMethod("surrogate", learn_from_surrogate, learned=True, least_queries=LEAST_QUERIES)
