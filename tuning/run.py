"""One training run: a Ray Tune experiment with a single trial, in a run directory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune
from rich.progress import Progress

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture
from natrl.core.genotypes import parse
from natrl.envs.budgets import ANY
from natrl.envs.initial import Initial, make_sampler, seeded
from natrl.evaluation import Evaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.ledger.shared import serve_ledger
from natrl.evaluation.rewards import REWARDS
from natrl.evaluation.user_code import check_travels
from natrl.files.locks import locked
from natrl.files.paths import absolute, quote
from natrl.files.writing import write_json
from natrl.news import say
from natrl.policies.limits import BudgetedEvaluator
from natrl.policies.network import HEADS, PolicyConfig, PolicyNetwork
from natrl.policies.policy import Policy
from natrl.policies.storage import read_policy
from natrl.registry import in_one_line
from natrl.rllib.config import algorithm_config
from natrl.runs.directory import begun, check_versions, CONFIG, create_run, ledger_file, read_config, started
from natrl.runs.settings import RunSettings
from natrl.spaces import Space
from natrl.spaces import space as find_space
from natrl.spaces.budget import Budget
from natrl.tuning.experiment import fit, resumed_tuner, RunError
from natrl.tuning.resuming import check_same
from natrl.tuning.session import check_resources
from natrl.tuning.tasks import put

__all__ = ["RunError", "check_own", "check_policy", "check_settings", "learn", "resume", "run_configuration", "train"]

#: Initial architectures out of a table: they are part of the configuration, which Tune writes down every second.
MOST_KNOWN = 512


@checked
def train(
    settings: RunSettings,
    out: Path | str,
    *,
    command: str | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[tune.Callback] = (),
) -> Path:
    """Trains a policy in a new run directory and returns it; Ray must run (`ray_session`).

    `callbacks` are Tune's, besides its CSV, JSON and TensorBoard files (`natrl.tuning.tracking`). ValueError on
    settings that cannot work, before anything is written; RunError if training fails.
    """
    run = absolute(out)
    check_settings(settings)
    config = run_configuration(started(settings, run), ledger_file(run))
    with begun(run):
        create_run(run, settings, command or " ".join(sys.argv))
        learn(run, settings, config, progress=progress, callbacks=callbacks)
    return run


@checked
def resume(run: Path | str, *, settings: RunSettings | None = None, progress: Progress | None = None) -> Path:
    """Goes on with a run from its last checkpoint, after a kill or an error; a finished run is returned as it is.

    A run without a checkpoint starts anew. Either way its ledger pays for nothing again. `settings`: with more
    iterations than the run had, it trains on to so many, and rates that fall linearly fall until there. ValueError if
    the directory is not a run, or if any other setting differs from the run's.
    """
    run = absolute(run)
    document = read_config(run)
    check_versions(run, document.get("versions", {}))
    own = RunSettings.from_dict(document["settings"])
    settings = own if settings is None else _extended(run, own, settings)
    if settings.evaluator.resources:
        check_resources(**settings.evaluator.resources)
    config = run_configuration(started(settings, run), ledger_file(run))
    if settings != own:
        write_json(run / CONFIG, document | {"settings": settings.to_dict()})
    with locked(run):
        learn(run, settings, config, progress=progress)
    return run


def _extended(run: Path, own: RunSettings, given: RunSettings) -> RunSettings:
    """The run's settings with the iterations given. ValueError if anything else differs, but what follows from them."""
    new = own.learn.iterations, given.learn.iterations
    spec = replace(
        own.evaluator,
        total_steps=own.evaluator.total_steps + (new[1] - new[0]) * own.learn.weight_steps,
    )
    follows = {name: getattr(own.evaluator, name) for name in ("total_steps", "surrogate_every")}
    given = replace(given, evaluator=replace(given.evaluator, **follows))
    check_same(run, own.to_dict(), given.to_dict(), iterations="learn.iterations")
    return own if new[0] == new[1] else replace(own, evaluator=spec, learn=given.learn)


def check_settings(settings: RunSettings) -> None:
    """ValueError on what would fail only in the trial: actors that never fit, initial architectures, tables, data."""
    spec = settings.evaluator
    if spec.resources:
        check_resources(**spec.resources)
    if why := spec.home.lacks(spec.kind.needs):
        raise ValueError(f"reward {spec.reward!r}: space {spec.home.name!r} {why}")
    sample = make_sampler(find_space(spec.space), initial_architectures(settings, tell=True))
    data = spec.load_data()
    if not REWARDS.is_ours(spec.reward):
        spec(data)
    elif spec.kind.free:
        spec().evaluate(sample(np.random.default_rng(settings.seed), 1))
    elif data is not None:
        spec.home.fitted(data)
    check_policy(settings)
    check_own(settings)


def check_own(settings: RunSettings) -> None:
    """ValueError where what this process alone knows cannot be sent to workers."""
    for name, entry in (settings.own | settings.learn.own | settings.evaluator.own).items():
        check_travels(entry.target, f"{name} {entry.name!r}")


def check_policy(settings: RunSettings) -> None:
    """ValueError where a head of the user's cannot decide, or a run cannot go on from what its settings name."""
    if not HEADS.is_ours(settings.head):
        space = find_space(settings.evaluator.space)
        start = [space.sample(np.random.default_rng(settings.seed))]
        with in_one_line(f"head {settings.head!r}: the class raised"):
            policy = Policy(PolicyNetwork(policy_configuration(settings)), space, settings.rule, settings.cost)
            policy.transform_batch(start)
            observed = policy.observe(start)
            policy.network.evaluate(observed, policy.network.sample(observed)[0])
    if settings.start:
        PolicyNetwork(policy_configuration(settings)).start_from(read_policy(Path(settings.start))[0])


def initial_architectures(settings: RunSettings, *, tell: bool = False) -> Initial:
    """The run's initial architectures as the environment takes them. ValueError on malformed text.

    Uniform ones are drawn among those that have a score: where a table holds a part of the space, at most MOST_KNOWN
    live ones of it, by the seed. `tell`: says so.
    """
    if not isinstance(settings.initial, str):
        return [parse(text) for text in settings.initial]
    if settings.initial == "uniform" and settings.evaluator.kind.free:
        space, evaluator = find_space(settings.evaluator.space), settings.evaluator()
        if (known := part_of(space, getattr(evaluator, "architectures", ()))) is not None:
            if tell:
                say(
                    f"the table holds {len(known)} live architectures, not all of space {space.name}: initial ones are "
                    "drawn among them, and a transformation that it lacks is worth the least of its batch"
                )
            order = np.random.default_rng(settings.seed).permutation(len(known))[:MOST_KNOWN]
            return [known[i] for i in order]
    return seeded(settings.initial, settings.seed)


def part_of(space: Space, architectures: Sequence[Architecture]) -> list[Architecture] | None:
    """The live ones of the space, if they are only a part of it; None if they are all that there are.

    A space that cannot be listed is never held as a whole. ValueError if none of them is of the space.
    """
    if not architectures:
        return None
    if space.is_listed and len(set(architectures)) >= sum(1 for _ in space.architectures()):
        return None
    found = []
    for architecture in architectures:
        try:
            if space.check(architecture).is_live:
                found.append(architecture)
        except ValueError:
            continue
    if not found:
        raise ValueError(f"the table has no architecture of space {space.name!r}")
    return found


def run_configuration(settings: RunSettings, ledger: Path | None) -> Any:
    """RLlib's configuration of a run that keeps what it pays for in `ledger`."""
    spec, start = settings.evaluator, Path(settings.start) if settings.start else None
    environment = {
        "space": spec.space,
        "build_evaluator": partial(_build, spec, settings.budget, start, ledger),
        "evaluator_resources": spec.resources,
        "rule": settings.rule,
        "cost": settings.cost,
        "initial": initial_architectures(settings),
        "horizon": settings.horizon,
        "reward_clip": settings.reward_clip,
    }
    budgets = tuple(settings.budgets)
    if budgets:
        environment["budget"] = dict.fromkeys(budgets, ANY)
    return algorithm_config(
        settings.learn, policy_configuration(settings), environment, seed=settings.seed, start=start
    )


def policy_configuration(settings: RunSettings) -> PolicyConfig:
    """What the policy of a run is built from."""
    primitives, budgets = find_space(settings.evaluator.space).primitives, tuple(settings.budgets)
    return PolicyConfig(primitives, head=settings.head, keep=settings.keep, horizon=settings.horizon, budget=budgets)


def _build(spec: EvaluatorSpec, budget: Budget, start: Path | None, ledger: Path | None) -> Evaluator:
    """What rewards the policy, where it is trained."""
    before = None
    if start is not None and spec.surrogate is not None:
        from natrl.runs.scores import score_model  # scikit-learn takes seconds

        before = score_model(start, find_space(spec.space).n_slots)
    evaluator = spec.build(ledger, before)
    return BudgetedEvaluator(evaluator, find_space(spec.space), budget) if budget else evaluator


def learn(
    run: Path,
    settings: RunSettings,
    config: Any,
    *,
    progress: Progress | None = None,
    callbacks: Sequence[tune.Callback] = (),
    hint: str = "",
) -> Path:
    """Trains a policy in a run directory that is held, from where it stands there; returns the policy's folder.

    `config`: its `run_configuration`. RunError where training fails.
    """
    if settings.evaluator.own:  # by reference: Tune writes its configuration down, in hexadecimal, every second
        config.env_config["build_evaluator"] = put(config.env_config["build_evaluator"])
    iterations, every = settings.learn.iterations, settings.checkpoint_every
    tuner = resumed_tuner(config, run, iterations=iterations, checkpoint_every=every, callbacks=callbacks)
    hint = hint or f"; go on with --resume {quote(run)}"
    with nullcontext() if settings.evaluator.kind.changes else serve_ledger(ledger_file(run)):
        return fit(tuner, run, iterations=iterations, progress=progress, hint=hint)
