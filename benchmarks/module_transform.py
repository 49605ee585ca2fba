"""What natrl.optimize makes of a trained network, by both of its methods, against four simple ways to the same budget.

For each seed a network is trained; then, within --budget of its MAdds,
    natrl      a policy is learned from the effects of single replacements, finalists among what it proposes and the
               combinations whose effects add up to most are fine-tuned, validation data chooses (natrl.optimize);
    additive   the same without a policy, combinations alone (method "additive", as LANA and Puzzle choose);
    search     of as many random transformations near the budget as natrl has scored, the best by the same score;
    random     a random valid transformation of the MAdds nearest to natrl's;
    fewest     as few layers as possible: each becomes its cheapest operation, those that save most come first;
    separable  every 3×3 convolution becomes a separable one, where that is allowed (whatever it saves).
All of them inherit their weights by least squares, and are fine-tuned with the same schedule, data, teacher and seed,
natrl and additive the best of six finalists after an epoch; `evaluations` says how many networks each has scored
before that; "original" is the network as it was trained, "recalibrated" the same with new batch-norm statistics, as
all others have them, "tuned" the same after that fine-tuning. Accuracies are of the test split, which is read once for
each row, at the end.

    nice -n 5 python benchmarks/module_transform.py --network resnet18 --width 0.25 --image-size 16
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from _networks import few, NETWORKS, trained
from _networks import options as network_options
from _options import number, percentage, run
from _rows import print_row
from _simple_ways import all_separable, fewest_replacements

import natrl
from natrl.checks.fields import Count, Seed
from natrl.core.architecture import Architecture
from natrl.data import batches, ImageData
from natrl.evaluation.divergence import DivergenceEvaluator
from natrl.evaluation.ledger.file import read_ledger
from natrl.runs.directory import ledger_file
from natrl.search.random_transform import best_of_random, cost_matched_random, random_within
from natrl.training.fitting import measure
from natrl.training.schedule import FINE_TUNING
from natrl.tuning.optimize import optimize, Optimized, OptimizeSettings
from natrl.tuning.optimize.fine_tunings import fine_tuned_alike
from natrl.tuning.session import ray_session


def rivals(found: Optimized, data: ImageData, madds: float, seed: int, scores: int) -> dict[str, Architecture]:
    """The other ways."""
    space, evaluator = found.space, DivergenceEvaluator(found.space, data, seed=seed)
    return {
        "tuned": space.architecture,
        "search": best_of_random(space, space.architecture, evaluator, madds=madds, scores=scores, seed=seed),
        "random": cost_matched_random(space, space.architecture, found.after.cost.madds, seed),
        "fewest": fewest_replacements(space, madds),
        "separable": all_separable(space),
    }


def check_budget(options: argparse.Namespace, data: ImageData, share: float, seed: int) -> None:
    """ValueError where random search would find nothing so cheap."""
    model = NETWORKS[options.network](data.image_channels, data.num_classes, options.width)
    space = natrl.from_module(model, next(batches(data.validation, 2))[0].contiguous(), moves=OptimizeSettings().moves)
    madds = share * space.cost(space.architecture).madds
    random_within(space, space.architecture, madds=madds, seed=seed)


def compare(options: argparse.Namespace, data: ImageData, seed: int) -> None:
    share = float(options.budget.rstrip("%")) / 100
    check_budget(options, data, share, seed)
    model = trained(options.network, options.width, data, epochs=options.epochs, seed=seed)
    given = {
        "fine_tuning": replace(FINE_TUNING, epochs=options.tuning_epochs),
        "finalists": options.finalists,
        "tune_original": False,  # it has a row
        "seed": seed,
    }
    usual = OptimizeSettings()
    settings = OptimizeSettings(
        learn_from=options.learn_from, evaluator=replace(usual.evaluator, surrogate=options.surrogate), **given
    ).with_rounds()
    with ray_session():
        found, added = (
            optimize(model, data=data, budget={"madds": options.budget}, settings=each, expect_accuracy=0)
            for each in (settings, OptimizeSettings(method="additive", **given))
        )
        before = found.before.cost
        scored = {name: _scored(result) for name, result in (("natrl", found), ("additive", added))}
        others = rivals(found, data, share * before.madds, seed, scored["natrl"])
        tuned = fine_tuned_alike(found.space, others, data, settings)
    rows = [("original", found.space.architecture, found.before.test_accuracy, 0)]
    rows += [("recalibrated", found.space.architecture, found.recalibrated.test, 0)]
    rows += [
        (name, result.architecture, result.after.test_accuracy, scored[name])
        for name, result in (("natrl", found), ("additive", added))
    ]
    scored["search"] = scored["natrl"]
    rows += [(name, a, measure(tuned[name], data.test).accuracy, scored.get(name, 0)) for name, a in others.items()]
    for name, architecture, accuracy, evaluations in rows:
        cost = found.space.cost(architecture)
        print_row(
            "module_transform",
            network=options.network,
            seed=seed,
            method=name,
            test_accuracy=accuracy,
            madds_share=cost.madds / before.madds,
            params_share=cost.params / before.params,
            replaced=len(found.space.architecture.changes(architecture)),
            evaluations=evaluations,
        )


def _scored(result: Optimized) -> int:
    """How many networks."""
    return len(read_ledger(ledger_file(result.directory)))


def main() -> None:
    parser = network_options(__doc__, width=0.25, train_images=10_000)
    parser.add_argument("--tuning-epochs", type=number(Count), default=6)
    parser.add_argument("--budget", type=percentage, default="70%")
    parser.add_argument("--learn-from", choices=("effects", "scores"), default="effects", help="the policy")
    parser.add_argument("--surrogate", type=number(Count), help="evaluations that others are predicted from")
    parser.add_argument("--finalists", type=number(Count), default=6)
    parser.add_argument("--seeds", type=number(Seed), nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    for seed in options.seeds:
        compare(options, few(options.data, options.image_size, options.train_images, seed), seed)


if __name__ == "__main__":
    run(main)
