"""A tiny problem with a known best answer, and algorithms set up to solve it in seconds."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import natrl
from natrl.core.architecture import Architecture
from natrl.evaluation import TableEvaluator
from natrl.policies.network import PolicyConfig
from natrl.rllib.config import algorithm_config
from natrl.rllib.settings import LearnSettings
from natrl.spaces.budget import fewest

SPACE = natrl.space("nasbench201")
WORTH = {"conv_3x3": 0.5, "conv_1x1": 0.2, "avg_pool_3x3": -0.3, "skip_connect": 0.4, "null": 0.0}


def worth(architecture: Architecture) -> float:
    """A made-up accuracy: each operation has a worth, and the two slots 0>3 and 2>3 must not both be convolutions."""
    ops = architecture.operations
    clash = ops[3].startswith("conv") and ops[5].startswith("conv")
    return 0.3 + (sum(WORTH[op] for op in ops) / 6 - 0.4 * clash) / 2


@cache
def table() -> TableEvaluator:
    return TableEvaluator({a: worth(a) for a in SPACE.architectures()}, "tiny")


@cache
def starts() -> tuple[Architecture, ...]:
    rng = np.random.default_rng(7)
    return tuple(SPACE.sample(rng) for _ in range(6))


@cache
def best_reward(share: float | None = None) -> float:
    """Mean over the initial architectures of the best reward that valid, live transformations reach.

    `share` of the MAdds that each may keep of what it could save.
    """
    gains = []
    for start in starts():
        limit = np.inf if share is None else limit_of(start, share)
        rows = SPACE.masks(start)
        choices = product(*(np.array(SPACE.primitives, dtype=object)[row] for row in rows))
        reachable = [start.with_operations(ops) for ops in choices]
        gains.append(max(worth(a) for a in reachable if a.is_live and SPACE.cost(a).madds <= limit) - worth(start))
    return float(np.mean(gains))


def limit_of(start: Architecture, share: float) -> float:
    """MAdds between the fewest that can be reached, share 0, and what the architecture has, share 1."""
    least, whole = (SPACE.cost(a).madds for a in (fewest(SPACE, start, SPACE.masks(start), madds=1), start))
    return least + share * (whole - least)


def settings(algorithm: str, **changes: Any) -> LearnSettings:
    common = {"iterations": 16, "batch_size": 64, "minibatch_size": 32, "learning_rate": 5e-3, "entropy": 0.01}
    own = {} if algorithm == "ppo" else {"group_size": 8, "learning_rate": 1e-2, "iterations": 24}
    return LearnSettings(**{"algorithm": algorithm, "final_entropy": 0.0, **common, **own, **changes})


def config(
    algorithm: str,
    seed: int = 0,
    head: str = "autoregressive",
    horizon: int = 1,
    budgets: tuple[str, ...] = (),
    start: Path | None = None,
    **changes: Any,
) -> Any:
    policy = PolicyConfig(primitives=SPACE.primitives, head=head, width=32, budget=budgets)
    environment = {"space": "nasbench201", "evaluator": table(), "initial": list(starts()), "horizon": horizon}
    if budgets:
        environment["budget"] = dict.fromkeys(budgets, "any")
    return algorithm_config(settings(algorithm, **changes), policy, environment, seed=seed, start=start)


def greedy_reward(algorithm: Any) -> float:
    """Mean reward of the policy's most probable transformations of the initial architectures."""
    policy = algorithm.policy()
    after = policy.transform_batch(list(starts()))
    return float(np.mean([worth(a) - worth(b) for a, b in zip(after, starts(), strict=True)]))
