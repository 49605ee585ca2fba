"""What single replacements are to be scored by, so that sums of their effects choose good combinations.

For each seed a network is trained, and every single replacement scored by each of three: the divergence of outputs from
the original's, cross-entropy, accuracy. Then, for each of --budgets of its MAdds, the --combinations best sums by each
are measured on other images than those: accuracy and cross-entropy on --judging images of the validation split, with
inherited weights, before any training.

    nice -n 5 python benchmarks/effects.py --seeds 1 2 3

--moves compares what may change: types, kernels, ranks, branches, widths, or all.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from _networks import few, trained
from _networks import options as network_options
from _options import number, percentage, run
from _rows import print_row
from torch.utils.data import TensorDataset

import natrl
from natrl.checks.fields import Count, Seed
from natrl.core.architecture import Architecture
from natrl.data import batches, ImageData
from natrl.evaluation.divergence import DivergenceEvaluator
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.search import Reachable
from natrl.search.combinations import best_combinations
from natrl.search.replacements import Replacements
from natrl.spaces.budget import Budget
from natrl.training.fitting import measure

EFFECTS = ("divergence", "cross_entropy", "accuracy")


def compare(options: argparse.Namespace, data: ImageData, seed: int) -> None:
    model = trained(options.network, options.width, data, epochs=options.epochs, seed=seed)
    space = natrl.from_module(model, next(batches(data.validation, 2))[0].contiguous(), moves=options.moves)
    images, labels = next(batches(data.validation, options.images + options.judging, shuffle_seed=seed))
    judging = TensorDataset(images[options.images :], labels[options.images :])
    data = replace(data, validation=TensorDataset(images[: options.images], labels[: options.images]))
    given = {"steps": 0, "seed": seed, "validation_images": options.images}
    evaluators = {
        "divergence": DivergenceEvaluator(space, data, **given),
        "cross_entropy": InheritedEvaluator(space, data, metric="cross_entropy", **given),
        "accuracy": InheritedEvaluator(space, data, **given),
    }
    replacements = Replacements(Reachable(space, space.architecture))
    scored = np.random.default_rng(seed).permutation(len(replacements))[: options.replacements]
    before = space.cost(space.architecture)

    def show(effects: str, budget: str, architectures: list[Architecture]) -> None:
        found = [measure(evaluators["accuracy"].inherit(a), judging) for a in architectures]
        print_row(
            "effects",
            network=options.network,
            moves=options.moves,
            seed=seed,
            effects=effects,
            budget=budget,
            accuracy=float(np.mean([m.accuracy for m in found])),
            best_accuracy=max(m.accuracy for m in found),
            cross_entropy=float(np.mean([m.cross_entropy for m in found])),
            madds_share=float(np.mean([space.cost(a).madds for a in architectures])) / before.madds,
            replacements=len(scored),
        )

    show("original", "100%", [space.architecture])
    for name, evaluator in evaluators.items():
        if name not in options.effects:
            continue
        first, *scores = evaluator.evaluate([space.architecture, *(replacements.architectures[r] for r in scored)])
        effects = np.full(len(replacements), np.nan)
        effects[scored] = np.array(scores) - first
        for share in options.budgets:
            budget = Budget.of(before, share, None)
            best = best_combinations(replacements, effects, budget, options.combinations)
            show(name, share, [combination.architecture for combination in best])


def main() -> None:
    parser = network_options(__doc__, width=0.125, train_images=4_000)
    parser.add_argument("--images", type=number(Count), default=512, help="that replacements are scored on")
    parser.add_argument(
        "--judging", type=number(Count), default=2048, help="other images, that combinations are measured on"
    )
    parser.add_argument("--replacements", type=number(Count), help="so many of them, drawn at random; all by default")
    parser.add_argument("--combinations", type=number(Count), default=6, help="for each budget")
    parser.add_argument("--budgets", type=percentage, nargs="+", default=["50%", "30%"])
    parser.add_argument("--effects", nargs="+", choices=EFFECTS, default=EFFECTS)
    parser.add_argument("--moves", default="types,kernels,ranks,branches", help="what may change, or all")
    parser.add_argument("--seeds", type=number(Seed), nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    for seed in options.seeds:
        compare(options, few(options.data, options.image_size, options.train_images, seed), seed)


if __name__ == "__main__":
    run(main)
