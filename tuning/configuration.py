"""What the settings of a run come to: RLlib's configuration, initial architectures, and whether it can be at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.genotypes import parse
from natrl.envs.budgets import ANY
from natrl.envs.initial import Initial, make_sampler, seeded
from natrl.evaluation import Evaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import REWARDS
from natrl.evaluation.user_code import check_travels
from natrl.news import say
from natrl.policies.limits import BudgetedEvaluator
from natrl.policies.network import HEADS, PolicyConfig, PolicyNetwork
from natrl.policies.policy import Policy
from natrl.policies.storage import read_policy
from natrl.registry import in_one_line
from natrl.rllib.config import algorithm_config
from natrl.runs.settings import RunSettings
from natrl.spaces import Space
from natrl.spaces import space as find_space
from natrl.spaces.budget import Budget
from natrl.tuning.session import check_resources

__all__ = ["build_reward", "check_own", "check_policy", "check_settings", "initial_architectures", "run_configuration"]

#: Initial architectures out of a table: they are part of the configuration, which Tune writes down every second.
MOST_KNOWN = 512


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
    """ValueError where what this process alone knows cannot be sent to workers; says which names mean something else.

    (What an installed package offers under a name that is taken is not heard.)
    """
    for line in (*settings.unheard(), *settings.learn.unheard(), *settings.evaluator.unheard()):
        say(line, level=WARNING)
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
        "build_evaluator": partial(build_reward, spec, settings.budget, start, ledger),
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


def build_reward(spec: EvaluatorSpec, budget: Budget, start: Path | None, ledger: Path | None) -> Evaluator:
    """What rewards the policy, where it is trained."""
    before = None
    if start is not None and spec.surrogate is not None:
        from natrl.runs.scores import score_model  # scikit-learn takes seconds

        before = score_model(start, find_space(spec.space).n_slots)
    evaluator = spec.build(ledger, before)
    return BudgetedEvaluator(evaluator, find_space(spec.space), budget) if budget else evaluator
