"""How a network that natrl.optimize has made is trained on best: highest learning rates, and how long a teacher stays.

For each seed a network is trained, and natrl.optimize(method="additive") finds one within --budget of its MAdds; that
one, with the weights that it inherits, and the original are fine-tuned in every way, for --tuning-epochs. Validation
accuracies; test data is not read. natrl's own settings (natrl.training.schedule.FINE_TUNING, and how long a teacher
stays in natrl.training.distillation) were chosen on seed 190 of the first two commands and 101 of the third:

    python benchmarks/fine_tuning.py --epochs 10
    python benchmarks/fine_tuning.py --epochs 40
    python benchmarks/fine_tuning.py --data cifar10-jpeg --width 0.125 --train-images 4000 --budget 50% --seeds 101
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace
from typing import Annotated

from _networks import few, FINE_TUNINGS, trained
from _networks import options as network_options
from _options import number, percentage, run
from _rows import print_row
from torch import nn

import natrl
from natrl.checks.fields import Count, Positive, Range, Seed
from natrl.data import ImageData
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.training.distillation import Distillation
from natrl.training.fitting import fit, measure

RATES = (0.02, 0.05, 0.1)
Until = Annotated[float, Range(0, 1)]
UNTIL = (0.0, 0.5)  # share of the training after which the teacher is gone


def inherited(model: nn.Module, data: ImageData, budget: str, seed: int) -> nn.Module:
    """What natrl.optimize makes of it, before any training."""
    one = replace(FINE_TUNINGS["resnet18"], epochs=1)
    settings = natrl.OptimizeSettings(method="additive", finalists=1, tune_original=False, fine_tuning=one, seed=seed)
    limits = {"madds": budget}
    found = natrl.optimize(deepcopy(model), data=data, budget=limits, settings=settings, expect_accuracy=0)
    return InheritedEvaluator(found.space, data, seed=seed).inherit(found.architecture)


def compare(options: argparse.Namespace, seed: int) -> None:
    data = few(options.data, options.image_size, options.train_images, seed)
    model = trained(options.network, options.width, data, epochs=options.epochs, seed=seed)
    networks = {"original": model, "natrl": inherited(model, data, options.budget, seed)}
    about = {name: getattr(options, name) for name in ("network", "data", "epochs", "budget")} | {"seed": seed}
    for name, network in networks.items():
        print_row("fine_tuning", **about, tuned=name, validation=measure(network, data.validation).accuracy)
    schedule = replace(FINE_TUNINGS[options.network], epochs=options.tuning_epochs)
    for rate in options.rates:
        for until in options.until:
            for name, network in networks.items():
                copy = deepcopy(network)
                teacher = Distillation(model, until=until) if until else None
                fit(copy, data, replace(schedule, learning_rate=rate), seed=seed, distillation=teacher)
                accuracy = measure(copy, data.validation).accuracy
                print_row("fine_tuning", **about, tuned=name, rate=rate, until=until, validation=accuracy)


def main() -> None:
    parser = network_options(__doc__, width=0.25, train_images=5_000)
    parser.set_defaults(data="fashion-mnist")
    parser.add_argument("--budget", type=percentage, default="30%")
    parser.add_argument("--tuning-epochs", type=number(Count), default=10)
    parser.add_argument("--rates", type=number(Positive), nargs="+", default=RATES)
    parser.add_argument(
        "--until",
        type=number(Until),
        nargs="+",
        default=UNTIL,
        help="share of the training; 0: no teacher",
    )
    parser.add_argument("--seeds", type=number(Seed), nargs="+", default=[190])
    options = parser.parse_args()
    for seed in options.seeds:
        compare(options, seed)


if __name__ == "__main__":
    run(main)
