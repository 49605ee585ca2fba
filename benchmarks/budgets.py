"""What one policy makes of held-out architectures within budgets, beside the best that its own signal could choose.

For each seed PPO learns a policy on four fifths of NAS-Bench-201 (the folds of `natrl bench`), with a budget
of MAdds drawn anew in each episode. On held-out architectures, for each budget: the change in test accuracy, in points,
of the first answer and of the best of 10 by the signal, of the best reachable architecture within the budget by the
signal, of a random one within it that is not the original, and of the best of 10 of those by the signal; the largest
cost of an answer as a share of its budget. Architectures that cannot reach a budget are left out; the rest are counted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core

import numpy as np
from _rows import print_row

import natrl
from natrl.bench.splits import split
from natrl.core.architecture import Architecture
from natrl.evaluation import Evaluator
from natrl.evaluation.table import TableEvaluator, TableFile
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig
from natrl.rllib.config import algorithm_config
from natrl.rllib.settings import LearnSettings
from natrl.search.reachable import Reachable
from natrl.spaces import Space
from natrl.tuning.session import ray_session

SPACE = natrl.space("nasbench201")
CANDIDATES = 10


def measure(
    policy: Policy, architectures: list[Architecture], signal: dict[Architecture, float], report: dict, share: float
) -> dict[str, float]:
    """Means over the architectures, in points of test accuracy."""
    evaluator, rows = TableEvaluator(signal, "signal"), []
    rng = np.random.default_rng(0)
    for before in architectures:
        limit = share * SPACE.cost(before).madds
        within = [a for a in Reachable(SPACE, before).every() if SPACE.cost(a).madds <= limit]
        if not within:
            continue
        first = policy.transform(before, max_madds=limit, n=CANDIDATES)
        chosen = policy.transform(before, max_madds=limit, n=CANDIDATES, evaluator=evaluator)
        others = [a for a in within if a != before] or within
        drawn = [others[i] for i in rng.permutation(len(others))[:CANDIDATES]]
        best, lucky = (max(some, key=signal.__getitem__) for some in (within, drawn))
        answers = first.best, chosen.best, best, drawn[0], lucky
        used = max(SPACE.cost(a).madds for a in answers[:2]) / limit
        rows.append([100 * (report[a] - report[before]) for a in answers] + [used])
    values = np.array(rows)
    names = ("first", "best_of_10", "best_by_signal", "random", "best_of_10_random")
    means = dict(zip(names, values[:, :-1].mean(0).tolist(), strict=True))
    return {**means, "largest_share_of_budget": values[:, -1].max(), "architectures": len(rows)}


def learned(
    settings: LearnSettings, evaluator: Evaluator, initial: Sequence[Architecture], seed: int, space: Space = SPACE
) -> Policy:
    """A policy for every budget of MAdds, as `natrl train --budgets madds` learns it."""
    environment = {
        "space": space,
        "build_evaluator": lambda: evaluator,
        "rule": "nat++",
        "cost": "strict",
        "initial": tuple(initial),
        "budget": {"madds": "any"},
    }
    network = PolicyConfig(primitives=space.primitives, budget=("madds",))
    trainer = algorithm_config(settings, network, environment, seed=seed).build_algo()
    for _ in range(settings.iterations):
        trainer.train()
    policy: Policy = trainer.policy()
    trainer.stop()
    return policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, help="nasbench201.csv.gz")
    parser.add_argument("--signal", default="cifar10_val200")
    parser.add_argument("--report", default="cifar10_test200")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--shares", default="1,0.8,0.6,0.4", help="budgets, as shares of the MAdds")
    parser.add_argument("--held-out", type=int, default=150, help="architectures")
    parser.add_argument("--iterations", type=int, default=500)
    options = parser.parse_args()
    table = TableFile(options.table)
    signal, report = (
        dict(zip(table.architectures, table.accuracies(c).tolist(), strict=True))
        for c in (options.signal, options.report)
    )
    with ray_session():
        for seed in map(int, options.seeds.split(",")):
            folds = split(SPACE, seed)
            learn = LearnSettings(iterations=options.iterations, entropy=0.1)
            policy = learned(learn, TableEvaluator(signal, "signal"), folds.training, seed)
            order = np.random.default_rng(seed).permutation(len(folds.held_out))[: options.held_out]
            chosen = [folds.held_out[i] for i in order]
            for share in map(float, options.shares.split(",")):
                print_row("budgets", seed=seed, share=share, **measure(policy, chosen, signal, report, share))


if __name__ == "__main__":
    main()
