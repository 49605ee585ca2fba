"""natrl beside what a user may take instead, on one trained network: one data set, training, counter and clock for all.

    original         as it was trained
    tuned            the original after the fine-tuning that all others have
    separable        every 3×3 convolution becomes a separable one, where that is allowed (whatever the budget)
    additive, policy natrl.optimize by its two methods, default settings
    additive-widths  additive, channels alone (moves="widths")
    additive-types   additive, all but channels
    fewest           as few layers as possible become their cheapest operation
    random           the best of 100 random transformations near the budget, by the score of natrl.optimize
    torch-pruning    Torch-Pruning: groups of channels by Taylor or magnitude, global and iterative
    torch-pruning-8  the same in multiples of 8 channels
    fastnas          NVIDIA ModelOpt's FastNAS
    nni              Microsoft's NNI 3.0: filters by Taylor or magnitude, global or alike in all layers
    thinner          fewer channels everywhere, trained from scratch for as many epochs in all, with the same teacher
    thinner-8        the same in multiples of 8 channels
    thinner-alone    thinner without a teacher (the original, that nobody would have trained for it)
    thinner-seconds  the same for as many CPU seconds as `additive` takes in all

natrl.optimize keeps to a limit on time by itself. For each other method the largest share of the MAdds is sought, in
steps of 5 %, whose network is fast enough, measured before it is trained on.

Each is fine-tuned by one schedule (natrl.training.fine_tuning), learns from the original's outputs too, and has the
seed of its row; thinner ones are trained from scratch instead. MAdds are counted by torch's FlopCounterMode on the
network that comes out; times are shares of the original's on one thread, in eager torch and in ONNX Runtime; seconds
are CPU time of this process and its children after the original is there, those of Ray's start among them.
Where a method has settings, all of them are tried on --choosing-seeds, and the one with the best mean validation
accuracy after fine-tuning is compared; test data is read once for each row of --seeds.

A row is appended to --out as soon as it is there, and no row is measured twice. A method whose package is not installed
(pip install '.[rivals]') is left out by name.

    nice -n 5 python benchmarks/rivals.py --network resnet18 --width 0.25 --budgets 50% 30% --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # CPU seconds that compare

import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from time import time
from typing import Any

import torch
from _networks import options as network_options
from _options import number, run
from _rivals_job import Job
from _rivals_limits import EVERYTHING, Limit, TIMES
from _rivals_measuring import Clock, madds, parameters, RUNTIMES, shares_of_time
from _rivals_methods import AS_LONG_AS, Method, METHODS
from _rivals_rows import Rows, table
from rich.console import Console

from natrl.checks.fields import Count, Positive, Seed
from natrl.training.fine_tuning import fine_tune
from natrl.training.fitting import measure

ANY = "any"  # the budget of a method that knows none


class Comparison:
    """The jobs of a call, one a seed, and their rows."""

    def __init__(self, rows: Rows, options: argparse.Namespace) -> None:
        self.rows, self._choosing_seeds, self._runtimes = rows, options.choosing_seeds, options.runtimes
        self.job = cache(lambda seed: Job.of(options, seed, options.out.with_suffix(".originals")))

    def add(self, name: str, limit: Limit | None, seed: int) -> None:
        """The method's row, unless it is there."""
        method, budget = METHODS[name], str(limit or ANY)
        if self.rows.where(method=name, budget=budget, seed=seed, choosing=False):
            return
        if name in AS_LONG_AS:
            setting = self._epochs(name, budget, seed)
            if setting is None:
                print(f"{name} is left out: it needs {' and '.join(AS_LONG_AS[name])} at {budget}", file=sys.stderr)
                return
        else:
            setting = self._best_setting(name, method, limit)
        self._measure(name, method, limit, seed, setting, choosing=False)

    def _epochs(self, name: str, budget: str, seed: int) -> dict[str, int] | None:
        """As many as take the CPU seconds of the first method, at the second one's pace."""
        given = [self.rows.where(method=m, budget=budget, seed=seed, choosing=False) for m in AS_LONG_AS[name]]
        if not all(rows and "failed" not in rows[0] for rows in given):
            return None
        limit, pace = (rows[0]["search_seconds"] + rows[0]["training_seconds"] for rows in given)
        job = self.job(seed)
        return {"epochs": max(1, int(limit / pace * (job.training.epochs + job.tuning.epochs)))}

    def _best_setting(self, name: str, method: Method, limit: Limit | None) -> Mapping[str, Any]:
        """By mean validation accuracy over the choosing seeds, among those that kept the budget."""
        if len(method.settings) == 1:
            return method.settings[0]

        def mean(setting: Mapping[str, Any]) -> float:
            found, wanted = [], {"method": name, "budget": str(limit or ANY), "setting": dict(setting)}
            for seed in self._choosing_seeds:
                known = self.rows.where(**wanted, seed=seed, choosing=True)
                row = known[0] if known else self._measure(name, method, limit, seed, setting, choosing=True)
                found.append(row["validation"] if row.get("kept") else float("-inf"))
            return sum(found) / len(found)

        return max(method.settings, key=mean)

    def _measure(
        self, name: str, method: Method, limit: Limit | None, seed: int, setting: Mapping[str, Any], *, choosing: bool
    ) -> dict[str, Any]:
        """One network: found, trained on, measured. A failure is a row, too."""
        job, within = self.job(seed), limit or EVERYTHING
        about = {"method": name, "budget": str(limit or ANY), "setting": dict(setting)}
        about |= {"seed": seed, "choosing": choosing}
        try:
            with Clock() as clock:
                if within.what == "madds" or method.knows_time:
                    found = method.find(job, within, **setting)
                else:
                    found = within.within_time(job, lambda madds: method.find(job, madds, **setting))
                searched = found.searched or time()
                if found.train is not None:
                    found.train(found.network)
                elif not found.tuned:
                    fine_tune(found.network, job.data, job.tuning, seed=seed, teacher=job.model)
                validation = measure(found.network, job.data.validation)
            network = found.network.eval()
            times = {} if choosing else shares_of_time(network, job.model, job.example, self._runtimes)
            return self.rows.add(
                **about,
                madds=madds(network, job.example) / job.madds,
                parameters=parameters(network) / parameters(job.model),
                kept=within.is_kept(network, job, times),
                validation=validation.accuracy,
                test=None if choosing else measure(network, job.data.test).accuracy,
                search_seconds=clock.until(searched),
                training_seconds=job.seconds if name == "original" else clock.seconds - clock.until(searched),
                evaluations=found.evaluations,
                **times,
            )
        except Exception as error:  # whatever a rival's own code raises
            return self.rows.add(**about, failed=f"{type(error).__name__}: {error}"[:300])


def main(given: Sequence[str] | None = None) -> None:
    parser = network_options(__doc__, width=0.25, train_images=5_000)
    parser.set_defaults(data="fashion-mnist", epochs=40)
    parser.add_argument("--tuning-epochs", type=number(Count), default=10)
    parser.add_argument(
        "--tuning-rate", type=number(Positive), help="highest learning rate of fine-tuning (default: natrl's own)"
    )
    parser.add_argument(
        "--budgets",
        type=Limit.read,
        nargs="+",
        default=[Limit(share) for share in (0.7, 0.5, 0.3)],
        help=f"of the MAdds (50%%), or of the time ({', '.join(f'{name}=50%%' for name in TIMES)})",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument("--seeds", type=number(Seed), nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--choosing-seeds", type=number(Seed), nargs="+", default=[90], help="that settings are chosen on"
    )
    parser.add_argument("--runtimes", nargs="*", choices=RUNTIMES, default=RUNTIMES, help="that times are measured in")
    parser.add_argument("--out", type=Path, default=Path("rivals.jsonl"))
    options = parser.parse_args(given)
    if both := {*options.seeds} & {*options.choosing_seeds}:
        parser.error(f"seeds {sorted(both)} choose settings: give others")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # what the rivals say about themselves
    methods = [name for name in options.methods if METHODS[name].is_installed]
    if missing := [name for name in options.methods if name not in methods]:
        print(f"left out, since their packages are not installed: {', '.join(missing)}", file=sys.stderr)
    same = ("network", "width", "data", "image_size", "train_images", "epochs", "tuning_epochs", "tuning_rate")
    rows = Rows(options.out, {name: getattr(options, name) for name in same})
    comparison = Comparison(rows, options)
    for seed in options.seeds:
        for name in (m for m in methods if not METHODS[m].knows_budget):
            comparison.add(name, None, seed)
        for limit in options.budgets:
            for name in (m for m in methods if METHODS[m].knows_budget):
                comparison.add(name, limit, seed)
    title = f"{options.network} of width {options.width:g} on {options.data}"
    Console(width=220).print(table(rows, methods, title))


if __name__ == "__main__":
    run(main)
