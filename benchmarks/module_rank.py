"""Whether cheap scores of replaced networks order them as fine-tuning does.

A network is trained, and random transformations of it are scored ("inherited": least squares and new batch-norm
statistics; "steps": 20 steps of training after that; "supernet": one network with all choices, whose random paths were
trained for --supernet-steps) and fine-tuned. Spearman's correlation of each score with the validation accuracy after
fine-tuning, and its partial correlation given the number of replaced layers; baselines: fewer replaced layers, more
MAdds.

    nice -n 5 python benchmarks/module_rank.py --network resnet18 --width 0.125 --transformations 16
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from _networks import few, trained
from _networks import options as network_options
from _options import number, run
from _rows import print_row
from scipy.stats import rankdata

from natrl.checks.fields import Count, Seed
from natrl.data import batches, ImageData
from natrl.evaluation.inherited import FALLBACK_STEPS, InheritedEvaluator
from natrl.evaluation.supernet import SupernetEvaluator
from natrl.modules import from_module
from natrl.training.schedule import FINE_TUNING
from natrl.tuning.optimize import OptimizeSettings
from natrl.tuning.optimize.fine_tunings import fine_tune_all
from natrl.tuning.session import ray_session


def correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's (of ranks it is Spearman's); None where one of them is all the same."""
    return None if min(np.ptp(x), np.ptp(y)) < 1e-9 else float(np.corrcoef(x, y)[0, 1])


def partial(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float | None:
    """Spearman's partial correlation: of what of the ranks the third one's ranks do not explain linearly."""
    rows = np.column_stack([np.ones(len(x)), rankdata(given)])
    rest = [rankdata(v) - rows @ np.linalg.lstsq(rows, rankdata(v), rcond=None)[0] for v in (x, y)]
    return correlation(*rest)


def rank(options: argparse.Namespace, data: ImageData) -> None:
    model = trained(options.network, options.width, data, epochs=options.epochs, seed=options.seed)
    space = from_module(model, next(batches(data.validation, 2))[0].contiguous())
    drawn = {a.key: a for a in space.samples(np.random.default_rng(options.seed), 4 * options.transformations)}
    drawn.pop(space.architecture.key, None)
    architectures = list(drawn.values())[: options.transformations]
    evaluators = {
        name: InheritedEvaluator(space, data, steps=steps, seed=options.seed)
        for name, steps in (("inherited", 0), ("steps", FALLBACK_STEPS))
    }
    columns = {name: evaluator.evaluate(architectures) for name, evaluator in evaluators.items()}
    supernet = SupernetEvaluator(space, data, seed=options.seed)
    supernet.train_weights(options.supernet_steps)
    columns["supernet"] = supernet.evaluate(architectures)
    replaced = np.array([len(space.architecture.changes(a)) for a in architectures], dtype=float)
    columns |= {"fewer replaced": -replaced, "madds": np.array([float(space.cost(a).madds) for a in architectures])}
    networks = [evaluators["inherited"].inherit(a) for a in architectures]
    settings = OptimizeSettings(fine_tuning=replace(FINE_TUNING, epochs=options.tuning_epochs), seed=options.seed)
    with ray_session():
        tuned = fine_tune_all(networks, data, settings, teacher=model)
    truth = np.array([result.score for result in tuned])
    for name, column in columns.items():
        print_row(
            "module_rank",
            network=options.network,
            score=name,
            spearman=correlation(rankdata(column), rankdata(truth)),
            partial=None if name == "fewer replaced" else partial(column, truth, replaced),
            transformations=len(truth),
            accuracies=[float(truth.min()), float(truth.max())],
        )


def main() -> None:
    parser = network_options(__doc__, width=0.125, train_images=4_000)
    parser.add_argument("--tuning-epochs", type=number(Count), default=3)
    parser.add_argument("--supernet-steps", type=number(Count), default=124, help="two epochs")
    parser.add_argument("--transformations", type=number(Count), default=16)
    parser.add_argument("--seed", type=number(Seed), default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rank(options, few(options.data, options.image_size, options.train_images, options.seed))


if __name__ == "__main__":
    run(main)
