"""How a plan is searched: Tune's samplers and schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, TYPE_CHECKING

from ray.tune import TuneError
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import BasicVariantGenerator

from natrl.documents import set_at
from natrl.runs.parameters import known

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

    from natrl.tuning.sweep.plan import SweepPlan

__all__ = ["check_scheduler", "make_searcher", "make_scheduler", "read_scheduler"]

#: Arguments of Tune's schedulers that a file may give; "none" trains every trial to its end.
SCHEDULERS: dict[str, tuple[str, ...]] = {
    "none": (),
    "asha": ("grace_period", "reduction_factor", "brackets"),
    "pbt": ("perturbation_interval", "burn_in_period", "quantile_fraction", "resample_probability"),
}
#: What population-based training may change: the settings that a policy trained half-way with others can go on with.
MUTABLE = (
    "learn.learning_rate",
    "learn.final_learning_rate",
    "learn.entropy",
    "learn.final_entropy",
    "learn.gradient_clip",
    "learn.epochs",
    "learn.minibatch_size",
    "learn.clip",
    "learn.value_weight",
    "learn.standardise",
)
INTERVAL = 10  # iterations between perturbations, unless the file says so


def read_scheduler(document: Any) -> dict[str, dict[str, Any]]:
    """The scheduler of a file, "asha" or {asha: {grace_period: 10}}, as {name: arguments}. ValueError in one line."""
    named = {document: {}} if isinstance(document, str) else document
    if not isinstance(named, Mapping) or len(named) != 1 or not isinstance(next(iter(named.values())) or {}, Mapping):
        raise ValueError(f"scheduler: expected one name, with its arguments if any, got {document!r:.60}")
    ((name, arguments),) = named.items()
    if name not in SCHEDULERS:
        raise ValueError(f"unknown scheduler {known(name, SCHEDULERS)}")
    for argument, value in (arguments or {}).items():
        if argument not in SCHEDULERS[name]:
            raise ValueError(f"scheduler {name}: unknown {known(argument, SCHEDULERS[name])}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"scheduler {name}: {argument} must be a number, got {value!r:.60}")
    return {name: dict(arguments or {})}


def check_scheduler(plan: SweepPlan) -> None:
    """ValueError if population-based training cannot work on the plan's parameters."""
    if plan.scheduler_name != "pbt":
        return
    if plan.sampler != "random":
        raise ValueError(f"scheduler pbt needs sampler random, got {plan.sampler}")
    if plan.concurrent is not None:
        raise ValueError("scheduler pbt runs all trials in turns: leave concurrent out")
    for parameter in plan.parameters:
        if parameter.name not in MUTABLE or parameter.kind == "grid":
            raise ValueError(
                f"scheduler pbt cannot change {parameter.name} ({parameter.kind}) of a policy in training; "
                f"it can change {', '.join(MUTABLE)}, by any kind but grid"
            )


def make_scheduler(plan: SweepPlan, iterations: int) -> TrialScheduler | None:
    """The scheduler of trials that last at most so many iterations. ValueError on arguments that Tune refuses."""
    arguments: dict[str, Any] = dict(plan.scheduler[plan.scheduler_name])
    try:
        if plan.scheduler_name == "asha":
            # Tune stops trials that reach max_t too, which would be all of the best: they end by themselves
            return ASHAScheduler(time_attr="training_iteration", max_t=iterations, **arguments)
        if plan.scheduler_name == "pbt":
            mutations: dict[str, Any] = {}
            for p in plan.parameters:
                set_at(mutations, p.name, p.domain() if p.is_range else list(p.values))
            return _PopulationBasedTraining(
                time_attr="training_iteration",
                hyperparam_mutations=mutations,
                custom_explore_fn=_Clip(plan),
                synch=True,  # else trials that start early may end before there is one to learn from
                **{"perturbation_interval": INTERVAL, **arguments},
            )
    except (AssertionError, ValueError, TuneError) as error:
        raise ValueError(f"scheduler {plan.scheduler_name}: {error}") from None
    return None


class _PopulationBasedTraining(PopulationBasedTraining):
    """Tune's, whose trials all train to their end.

    Tune hands another trial's policy to one that still saves its own, and then ends it after its next checkpoint
    (https://github.com/ray-project/ray/issues/57906): what it saved is of no use any more, so it is not waited for.
    """

    def _exploit(self, tune_controller: Any, trial: Trial, trial_to_clone: Trial) -> None:
        trial.temporary_state.saving_to = None
        super()._exploit(tune_controller, trial, trial_to_clone)


class _Clip:
    """Keeps perturbed values in the ranges of the plan; Tune multiplies them without a look at these."""

    def __init__(self, plan: SweepPlan) -> None:
        self._parameters = plan.parameters

    def __call__(self, document: dict[str, Any]) -> dict[str, Any]:
        for p in self._parameters:
            group, name = p.name.split(".")
            document[group][name] = p.clip(document[group][name])
        return document


def make_searcher(plan: SweepPlan) -> Any:
    """What proposes the trials. ValueError if Optuna is missing."""
    if plan.sampler != "optuna":
        return BasicVariantGenerator(random_state=plan.seed, max_concurrent=plan.concurrent or 0)
    if find_spec("optuna") is None:
        raise ValueError("sampler optuna needs the package optuna: pip install optuna")
    import optuna
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every trial otherwise
    search = OptunaSearch(seed=plan.seed)
    return search if plan.concurrent is None else ConcurrencyLimiter(search, max_concurrent=plan.concurrent)
