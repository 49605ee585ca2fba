"""Budgets of environments: no state ever costs more, and what the masks say is true."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from natrl.envs import ArchTransitionEnv, ArchTransitionSequentialEnv, ArchTransitionVectorEnv
from tests.envs.checks import assert_same, ByName, check_promise, rollout

BUDGETS = [{"madds": "any"}, {"params": "40%"}, {"madds": 0.5, "params": "any"}, {"madds": 20_000_000}]
KINDS = [ArchTransitionEnv, ArchTransitionSequentialEnv]


def dense(space):
    return space.sample(np.random.default_rng(0)).with_operations(["conv_3x3"] * 6)


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["nasbench201", "darts"])
def test_no_state_costs_more_than_its_budget(kind, space, budget):
    env = kind(space=space, evaluator=ByName(), budget=budget, horizon=2)
    seen = rollout(env, seed=1, steps=100)
    check_promise(seen, env)
    for observation, _, _, info in seen:
        limits = np.array([info["max_params"], info["max_madds"]])
        assert (np.isfinite(limits) == [name in budget for name in ("params", "madds")]).all()
        if observation.get("slot", 0) == 0 and info["architecture"] != info["initial_architecture"]:
            assert info["params"] <= limits[0]
            assert info["madds"] <= limits[1]
        if kind is ArchTransitionSequentialEnv:
            assert info["repaired"] == 0
    assert_same(seen, rollout(env, seed=1, steps=100))


@pytest.mark.parametrize("kind", KINDS)
def test_gymnasium_checker_passes_with_a_budget(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*Box.*(precision|infinity|maximum value|minimum value).*")
        check_env(kind(evaluator=ByName(), budget={"madds": "any"}), skip_render_check=True)


def test_costs_of_the_observation_are_those_of_the_network():
    env = ArchTransitionEnv(evaluator=ByName(), budget={"madds": "60%"})
    space = env.core.space
    observation, info = env.reset(options={"architecture": dense(space)})
    before = info["architecture"]
    for slot, primitive in np.argwhere(env.action_mask).tolist():
        after = before.with_operations(
            [space.primitives[primitive] if e == slot else op for e, op in enumerate(before.operations)]
        )
        change = space.cost(after).madds - space.cost(before).madds
        held = space.primitives.index(before.operations[slot])
        assert change == observation["costs"][slot, primitive, 1] - observation["costs"][slot, held, 1]
    assert observation["budget"][0] == np.inf
    assert info["max_madds"] == pytest.approx(0.6 * info["initial_madds"])


def test_a_joint_action_beyond_the_budget_is_repaired_and_counted():
    env = ArchTransitionEnv(evaluator=ByName(), budget={"madds": "30%"})
    space = env.core.space
    env.reset(options={"architecture": dense(space)})
    *_, info = env.step(np.full(6, space.primitives.index("conv_3x3")))
    assert info["madds"] <= info["max_madds"] < info["initial_madds"]
    assert info["invalid_actions"] + info["repaired"] > 0


def test_a_vector_of_budgets():
    env = gymnasium.make_vec("natrl/ArchTransition-v0", num_envs=64, evaluator=ByName(), budget={"madds": "any"})
    assert isinstance(env, ArchTransitionVectorEnv)
    observation, info = env.reset(seed=0)
    assert observation["budget"].shape == (64, 2)
    share = info["max_madds"] / info["initial_madds"]
    assert 0.1 < (share == 1).mean() < 0.5  # a fifth and those that cannot become cheaper
    assert share.min() < 0.5
    actions = np.where(info["action_mask"], np.random.default_rng(0).random(info["action_mask"].shape), -1).argmax(-1)
    *_, info = env.step(actions)
    assert (info["madds"] <= info["max_madds"]).all()


NO_BUDGETS = [{}, {"latency": 1}, "80%", {"madds": "lots"}, {"madds": None}, {"madds": -1}]


@pytest.mark.parametrize("budget", NO_BUDGETS, ids=str)
def test_what_is_no_budget_is_refused(budget):
    with pytest.raises(ValueError, match="budget"):
        ArchTransitionEnv(evaluator=ByName(), budget=budget)
