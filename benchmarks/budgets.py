"""What one policy makes of held-out architectures within budgets, beside the best that its own signal could choose.

For each seed PPO learns a policy on four fifths of NAS-Bench-201 (the folds of `natrl bench`), with a budget
of MAdds drawn anew in each episode. On held-out architectures, for each budget: the change in test accuracy, in points,
of the first answer (the one of ten candidates that a model of the looked-up scores predicts the most of, as `natrl
transform` chooses), of the policy's most probable answer, of the best of 10 by the signal, of the best reachable
architecture within the budget by the signal, of a random one within it that is not the original, and of the best of 10
of those by the signal; the largest cost of an answer as a share of its budget. Architectures that cannot reach a budget
are left out; the rest are counted.

With --model the same on the cells of DARTS, whose truth is the published surrogate of NAS-Bench-301 (no training is in
it), from --evaluations of it with noise: shares of what the best answer gains that ascent on the truth finds within the
budget, for architectures that can reach it (null where even that loses).

    python benchmarks/budgets.py nasbench201.csv.gz
    python benchmarks/budgets.py --model nasbench301_yahpo.onnx
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core

import numpy as np
from _options import number, numbers, Parser, run
from _predicted import measure_predicted, reaching
from _rows import print_row

import natrl
from natrl.bench.learned import FROM_MODEL
from natrl.bench.nasbench301 import PredictedTruth
from natrl.bench.splits import split
from natrl.checks.fields import Count, NotNegative, Portion, Seed
from natrl.core.architecture import Architecture
from natrl.evaluation import CachedEvaluator, Evaluator
from natrl.evaluation.nasbench301 import SurrogateFile
from natrl.evaluation.surrogate.evaluator import rounds_every, SurrogateEvaluator
from natrl.evaluation.surrogate.model import ScoreModel
from natrl.evaluation.surrogate.predicted import PredictedScores
from natrl.evaluation.table import TableEvaluator, TableFile
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig
from natrl.rllib.config import algorithm_config
from natrl.rllib.settings import LearnSettings
from natrl.runs.scores import MOST
from natrl.search.reachable import Reachable
from natrl.spaces import Space
from natrl.tuning.session import ray_session

SPACE = natrl.space("nasbench201")
CANDIDATES = 10


def measure(
    policy: Policy,
    known: ScoreModel,
    architectures: list[Architecture],
    signal: dict[Architecture, float],
    report: dict,
    share: float,
) -> dict[str, float]:
    """Means over the architectures, in points of test accuracy."""
    evaluator, rows = TableEvaluator(signal, "signal"), []
    rng, model = np.random.default_rng(0), PredictedScores(known)
    for before in architectures:
        limit = share * SPACE.cost(before).madds
        within = [a for a in Reachable(SPACE, before).every() if SPACE.cost(a).madds <= limit]
        if not within:
            continue
        likely = policy.transform(before, max_madds=limit, n=1).best
        first, chosen = (
            policy.transform(before, max_madds=limit, n=CANDIDATES, evaluator=by).best for by in (model, evaluator)
        )
        others = [a for a in within if a != before] or within
        drawn = [others[i] for i in rng.permutation(len(others))[:CANDIDATES]]
        best, lucky = (max(some, key=signal.__getitem__) for some in (within, drawn))
        answers = first, likely, chosen, best, drawn[0], lucky
        used = max(SPACE.cost(a).madds for a in answers[:3]) / limit
        rows.append([100 * (report[a] - report[before]) for a in answers] + [used])
    values = np.array(rows)
    names = ("first", "most_probable", "best_of_10", "best_by_signal", "random", "best_of_10_random")
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


def from_table(options: argparse.Namespace) -> None:
    """Rows of NAS-Bench-201."""
    table = TableFile(options.table)
    signal, report = (
        dict(zip(table.architectures, table.accuracies(c).tolist(), strict=True))
        for c in (options.signal, options.report)
    )
    by_key = {a.key: a for a in table.architectures}
    learn = LearnSettings(iterations=options.iterations or 500, batch_size=512, minibatch_size=256, entropy=0.1)
    for seed in options.seeds:
        folds, looked_up = split(SPACE, seed), CachedEvaluator(TableEvaluator(signal, "signal"))
        policy = learned(learn, looked_up, folds.training, seed)
        scores = looked_up.state_dict()["scores"]
        model = ScoreModel([by_key[key] for key in scores][-MOST:], np.array([*scores.values()][-MOST:]), seed=seed)
        order = np.random.default_rng(seed).permutation(len(folds.held_out))[: options.held_out or 150]
        chosen = [folds.held_out[i] for i in order]
        for share in options.shares:
            print_row("budgets", seed=seed, share=share, **measure(policy, model, chosen, signal, report, share))


def from_model(options: argparse.Namespace) -> None:
    """Rows of the cells of DARTS."""
    file = SurrogateFile(options.model)
    truth = PredictedTruth(file, noise=options.noise)
    learn = replace(FROM_MODEL, iterations=options.iterations or 2 * FROM_MODEL.iterations)
    for seed in options.seeds:
        surrogate = SurrogateEvaluator(
            truth.evaluator(seed),
            queries=options.evaluations,
            every=rounds_every(learn.iterations),
            seed=seed,
        )
        policy = learned(learn, surrogate, truth.initial(seed).training, seed, truth.space)
        assert surrogate.model is not None
        chooser, rng = PredictedScores(surrogate.model), np.random.default_rng([302, seed])
        for share in options.shares:
            held_out = reaching(truth.space, share, options.held_out or 40, rng)
            first = measure_predicted(policy, file, held_out, share, chooser, CANDIDATES)
            likely = measure_predicted(policy, file, held_out, share)
            gained = {"share_gained": gained_of(first), "share_gained_most_probable": gained_of(likely)}
            print_row("budgets", seed=seed, share=share, evaluations=surrogate.paid, **gained, **first)


def gained_of(means: dict[str, float]) -> float | None:
    """The share of the best answer's gain; None where even the best within the budget loses."""
    return means["first_answer"] / means["best_found"] if means["best_found"] > 0 else None


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("table", type=Path, nargs="?", help="nasbench201.csv.gz")
    parser.add_argument("--model", type=Path, help="nasbench301_yahpo.onnx: the cells of DARTS")
    parser.add_argument("--signal", default="cifar10_val200", help="column of the table that is learned from")
    parser.add_argument("--report", default="cifar10_test200", help="column of the table that is reported")
    parser.add_argument("--noise", type=number(NotNegative), default=0.17, help="of the model's signal, in points")
    parser.add_argument("--evaluations", type=number(Count), default=10_000, help="of the model, in all")
    parser.add_argument("--seeds", type=numbers(Seed), default=(0, 1, 2, 3, 4))
    parser.add_argument(
        "--shares", type=numbers(Portion), default=(1, 0.8, 0.6, 0.4), help="budgets, as shares of the MAdds"
    )
    parser.add_argument("--held-out", type=number(Count), help="architectures: 150, of the cells of DARTS 40")
    parser.add_argument(
        "--iterations", type=number(Count), help="of PPO: 500, on predictions twice those of natrl bench"
    )
    options = parser.parse_args()
    if (options.table is None) == (options.model is None):
        parser.error("give a table, or --model FILE")
    with ray_session():
        (from_table if options.model is None else from_model)(options)


if __name__ == "__main__":
    run(main)
