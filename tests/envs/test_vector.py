"""The vector environment does what N joint environments do, with one evaluator call a step."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import natrl
from natrl.envs import ArchTransitionEnv, ArchTransitionVectorEnv
from tests.envs.checks import ByName

N = 6


def make(**arguments):  # type: ignore[no-untyped-def]
    return ArchTransitionVectorEnv(N, **{"space": "darts", "evaluator": ByName(), **arguments})


def act(info, seed):  # type: ignore[no-untyped-def]
    mask = info["action_mask"]
    return np.where(mask, np.random.default_rng(seed).random(mask.shape), -1).argmax(-1)


@pytest.mark.parametrize("horizon", [1, 2])
def test_equals_scalar_environments(horizon):
    vector = make(horizon=horizon)
    observations, info = vector.reset(seed=0)
    scalars = [ArchTransitionEnv(space="darts", evaluator=ByName(), horizon=horizon) for _ in range(N)]
    for env, architecture in zip(scalars, info["architecture"], strict=True):
        env.reset(options={"architecture": architecture})
    for step in range(horizon):
        actions = act(info, step)
        observations, rewards, ended, truncated, info = vector.step(actions)
        assert not truncated.any()
        for i, env in enumerate(scalars):
            o, r, e, _, single = env.step(actions[i])
            for key, value in o.items():
                np.testing.assert_array_equal(observations[key][i], value)
            assert (r, e) == (rewards[i], ended[i])
            assert single["architecture"] == info["architecture"][i]
            for key in ("score", "initial_score", "params", "madds", "initial_madds", "repaired", "invalid_actions"):
                assert single[key] == info[key][i], key


def test_next_step_autoreset_pays_for_initial_architectures_only():
    evaluator = ByName()
    vector = make(evaluator=evaluator)
    _, info = vector.reset(seed=0)
    first = list(info["architecture"])
    _, _, ended, _, info = vector.step(act(info, 0))
    assert ended.all()
    paid = vector.core.evaluator.evaluations
    _, rewards, ended, _, info = vector.step(act(info, 1))  # this action is ignored
    assert not ended.any()
    assert (rewards == 0).all()
    assert vector.core.evaluator.evaluations - paid == len({a.key for a in info["architecture"]})
    assert list(info["architecture"]) == list(info["initial_architecture"]) != first
    assert evaluator.calls == 3


def test_groups_start_from_the_same_architecture():
    _, info = make(group_size=3).reset(seed=0)
    keys = [a.key for a in info["architecture"]]
    assert keys[:3] == [keys[0]] * 3
    assert keys[3:] == [keys[3]] * 3
    assert keys[0] != keys[3]


def test_spaces_and_seeds():
    vector = make()
    observations, _ = vector.reset(seed=4)
    assert vector.observation_space.contains(observations)
    assert vector.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    again, _ = make().reset(seed=4)
    for key in observations:
        np.testing.assert_array_equal(observations[key], again[key])


def test_made_through_gymnasium():
    vector = gymnasium.make_vec(
        "natrl/ArchTransition-v0",
        num_envs=N,
        vectorization_mode="vector_entry_point",
        space="darts",
        evaluator=ByName(),
    )
    assert isinstance(vector.unwrapped, ArchTransitionVectorEnv)


def test_given_architectures():
    given = [natrl.parse("VGG")] * N
    _, info = make().reset(options={"architecture": given})
    assert list(info["architecture"]) == given
    with pytest.raises(ValueError, match="expected 6 architectures, got 1"):
        make().reset(options={"architecture": given[:1]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"group_size": 4}, "multiple of group_size"), ({"horizon": 0}, "horizon must be at least 1")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
