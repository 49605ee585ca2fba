"""The methods that are compared, by name: each keeps to a share of the original's MAdds, natrl's of its time, too."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _networks import NETWORKS
from _rivals_job import Found, Job
from _rivals_limits import Limit
from _rivals_measuring import madds
from _rivals_nni import nni_pruner
from _rivals_pruners import fastnas, torch_pruning
from _simple_ways import all_separable, fewest_replacements
from torch import nn

import natrl
from natrl.core.architecture import Architecture
from natrl.evaluation.divergence import DivergenceEvaluator
from natrl.evaluation.ledger.file import read_ledger
from natrl.runs.directory import ledger_file
from natrl.search.random_transform import best_of_random
from natrl.training.distillation import Distillation
from natrl.training.fitting import fit
from natrl.tuning.optimize import OptimizeSettings

__all__ = ["AS_LONG_AS", "METHODS", "Method"]

Find = Callable[..., Found]  # of a job, a limit, and a setting
HALVINGS = 12  # of the range in which a width is sought
SCORES = 100  # of random transformations


@dataclass(frozen=True)
class Method:
    """`settings`: those that are tried, on seeds of their own, before the best of them by validation is compared."""

    find: Find
    settings: tuple[Mapping[str, Any], ...] = ({},)
    package: str | None = None  # that it needs
    knows_budget: bool = True  # False: it gives the same whatever the budget is
    knows_time: bool = False  # False: where time is limited, the share of the MAdds is sought that is fast enough

    @property
    def is_installed(self) -> bool:
        return self.package is None or find_spec(self.package) is not None


def optimized(job: Job, limit: Limit, **given: Any) -> Found:
    """natrl.optimize by default settings but those given: what it has trained in the end as long as all others are."""
    budget, about = limit.for_optimize
    usual = {"fine_tuning": job.tuning, "seed": job.seed, "tune_original": False}
    settings = OptimizeSettings(**usual | about | given)
    with tempfile.TemporaryDirectory() as folder:
        run = natrl.optimize(
            deepcopy(job.model),
            data=job.data,
            budget=budget,
            settings=settings,
            out=Path(folder) / "run",
            expect_accuracy=0,
        )
        scored = read_ledger(ledger_file(run.directory))
    last = datetime.fromisoformat(scored["at"].max()).timestamp()
    return Found(run.model, evaluations=len(scored), tuned=True, searched=last)


def transformed(job: Job, limit: Limit, *, choose: Callable[[Job, float], Architecture]) -> Found:
    """A transformation of natrl's space, with weights by least squares."""
    return Found(job.inheritance.inherit(choose(job, limit.share)))


def random_within(job: Job, limit: Limit) -> Found:
    """As many as natrl.optimize scores, and the best of them by its score."""
    space, evaluator = job.space, DivergenceEvaluator(job.space, job.data, seed=job.seed)
    madds = limit.share * job.madds
    chosen = best_of_random(space, space.architecture, evaluator, madds=madds, scores=SCORES, seed=job.seed)
    return Found(job.inheritance.inherit(chosen), evaluations=SCORES)


def thinner(job: Job, limit: Limit, *, epochs: int | None = None, taught: bool = True, multiple: int = 1) -> Found:
    """The same network with fewer channels everywhere, trained from scratch, with the original as the teacher or none.

    `epochs`: None: as many as the original had and fine-tuning has together; `multiple`: of which channels are.
    """
    schedule = replace(job.training, epochs=epochs or job.training.epochs + job.tuning.epochs)
    teacher = Distillation(job.model) if taught else None
    return Found(
        _thin(job, limit, multiple),
        train=lambda network: fit(network, job.data, schedule, seed=job.seed, distillation=teacher),
    )


def _thin(job: Job, limit: Limit, multiple: int) -> nn.Module:
    """The widest one within the budget."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if madds(_of_width(job, middle, multiple), job.example) <= limit.share * job.madds:
            low = middle
        else:
            high = middle
    return _of_width(job, low, multiple)


def _of_width(job: Job, ratio: float, multiple: int) -> nn.Module:
    torch.manual_seed(job.seed)
    make, width = NETWORKS[job.name], job.width * ratio
    return make(job.data.image_channels, job.data.num_classes, width, multiple=multiple)


def _settings(multiple: int | None) -> tuple[Mapping[str, Any], ...]:
    tried = product(("taylor", "magnitude"), (0.1, 0.5))
    return tuple({"importance": kind, "multiple": multiple, "least": least} for kind, least in tried)


def _natrl(**given: Any) -> Method:
    return Method(partial(optimized, **given), knows_time=True)


NNI_SETTINGS = tuple(
    {"importance": kind, "together": together} for kind, together in product(("taylor", "magnitude"), (False, True))
)
#: The method that trains for as many CPU seconds as the first of these takes in all, at the second one's pace.
AS_LONG_AS = {"thinner-seconds": ("additive", "thinner")}
METHODS: dict[str, Method] = {
    "original": Method(lambda job, limit: Found(deepcopy(job.model), tuned=True), knows_budget=False),
    "tuned": Method(lambda job, limit: Found(deepcopy(job.model)), knows_budget=False),
    "separable": Method(partial(transformed, choose=lambda job, share: all_separable(job.space)), knows_budget=False),
    "additive": Method(partial(optimized, method="additive"), knows_time=True),
    "additive-widths": Method(partial(optimized, method="additive", moves="widths"), knows_time=True),
    "additive-types": Method(
        partial(optimized, method="additive", moves="types,kernels,ranks,branches"), knows_time=True
    ),
    "policy": Method(partial(optimized, method="policy"), knows_time=True),
    "fewest": Method(partial(transformed, choose=lambda job, share: fewest_replacements(job.space, share * job.madds))),
    "random": Method(random_within),
    "torch-pruning": Method(torch_pruning, _settings(None), "torch_pruning"),
    "torch-pruning-8": Method(torch_pruning, _settings(8), "torch_pruning"),
    "fastnas": Method(fastnas, tuple({"divisor": divisor} for divisor in (8, 4)), "modelopt"),
    "nni": Method(nni_pruner, NNI_SETTINGS, "nni"),
    "thinner": Method(thinner),
    "thinner-8": Method(partial(thinner, multiple=8)),
    "thinner-alone": Method(partial(thinner, taught=False)),
    "thinner-seconds": Method(thinner),
}
