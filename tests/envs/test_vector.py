"""The vector environment does what N joint environments do, with one evaluator call a step."""

from __future__ import annotations

from copy import deepcopy

import gymnasium
import numpy as np
import pytest

import natrl
from natrl.envs import (
    ArchTransitionEnv,
    ArchTransitionSequentialEnv,
    ArchTransitionSequentialVectorEnv,
    ArchTransitionVectorEnv,
)
from tests.envs.checks import ByName

N = 6


def make(**arguments):  # type: ignore[no-untyped-def]
    return ArchTransitionVectorEnv(N, **{"space": "darts", "evaluator": ByName(), **arguments})


def act(info, seed):  # type: ignore[no-untyped-def]
    mask = info["action_mask"]
    return np.where(mask, np.random.default_rng(seed).random(mask.shape), -1).argmax(-1)


KINDS = [
    (ArchTransitionVectorEnv, ArchTransitionEnv),
    (ArchTransitionSequentialVectorEnv, ArchTransitionSequentialEnv),
]


@pytest.mark.parametrize("space", ["darts", "nasbench201"])  # of many topologies, and of one
@pytest.mark.parametrize("horizon", [1, 2])
@pytest.mark.parametrize(("many", "one"), KINDS)
def test_equals_scalar_environments(many, one, horizon, space):
    arguments = {"space": space, "horizon": horizon, "budget": {"madds": "70%"} if horizon == 2 else None}
    vector = many(N, evaluator=ByName(), **arguments)
    observations, info = vector.reset(seed=0)
    assert vector.observation_space.contains(observations)
    scalars = [one(evaluator=ByName(), **arguments) for _ in range(N)]
    for env, architecture in zip(scalars, info["architecture"], strict=True):
        env.reset(options={"architecture": architecture})
    each = vector.core.space.n_slots if one is ArchTransitionSequentialEnv else 1
    for step in range(horizon * each):
        actions = act(info, step) if step % 3 else np.argmin(info["action_mask"], axis=-1)  # some are invalid
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
            np.testing.assert_array_equal(single["action_mask"], info["action_mask"][i])
    assert ended.all()
    assert vector.observation_space.contains(observations)
    observations, rewards, ended, _, info = vector.step(act(info, 0))  # which is ignored: new episodes
    assert not rewards.any()
    assert not ended.any()
    assert list(info["architecture"]) == list(info["initial_architecture"])


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
@pytest.mark.parametrize("kind", [kind for kinds in KINDS for kind in kinds])
def test_what_is_written_into_observations_infos_and_masks_changes_no_environment(kind, space):
    arguments = {"space": space, "horizon": 2, "budget": {"madds": "any"}}
    number = (3,) if kind in (ArchTransitionVectorEnv, ArchTransitionSequentialVectorEnv) else ()
    seen = []
    for scribble in (False, True):
        env, found = kind(*number, evaluator=ByName(), **arguments), []
        observation, info = env.reset(seed=0)
        for step in range(20):
            action = act(info, step)
            if scribble:
                masks = [] if number else [env.action_mask]
                for array in [*observation.values(), *info.values(), *masks]:
                    if isinstance(array, np.ndarray) and array.shape:
                        array[...] = array.flat[0]
            observation, reward, ended, _, info = env.step(action)
            found.append(deepcopy((observation, reward, ended, info)))
            if np.all(ended) and not number:
                observation, info = env.reset()
        seen.append(found)
    for untouched, scribbled in zip(*seen, strict=True):
        np.testing.assert_equal(untouched, scribbled)


@pytest.mark.parametrize("space", ["darts", "nasbench201"])  # whose architectures are made anew, and are remembered
@pytest.mark.parametrize("budget", [None, {"madds": "any"}])
@pytest.mark.parametrize("env_id", ["natrl/ArchTransition-v0", "natrl/ArchTransitionSequential-v0"])
def test_infos_are_of_the_types_that_gymnasium_makes_of_single_environments(env_id, budget, space):
    """In an episode of up to 16 steps, and at the start of the next one."""
    infos = []
    for mode in ("sync", "vector_entry_point"):
        arguments = {"space": space, "evaluator": ByName(), "budget": budget}
        vector = gymnasium.make_vec(env_id, num_envs=N, vectorization_mode=mode, **arguments)
        _, info = vector.reset(seed=0)
        infos.append([info])
        for _ in range(17):
            *_, info = vector.step(act(info, 0))
            infos[-1].append(info)
    for theirs, mine in zip(*infos, strict=True):
        assert theirs.keys() == mine.keys()
        for key, value in theirs.items():
            assert isinstance(mine[key], type(value)), key
            assert (mine[key].dtype, mine[key].shape) == (value.dtype, value.shape), key
            assert type(mine[key][0]) is type(value[0]), key


def test_architectures_of_a_listed_space_are_made_once():
    vector = make(space="nasbench201")
    given = [natrl.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")] * N
    _, info = vector.reset(options={"architecture": given})
    assert list(info["architecture"]) == given
    assert len(set(map(id, info["architecture"]))) == 1
    _, again = vector.reset(options={"architecture": given})
    assert again["architecture"][0] is info["architecture"][0]


def test_sequential_actions_outside_the_mask_are_refused_if_asked():
    vector = ArchTransitionSequentialVectorEnv(N, space="darts", evaluator=ByName(), invalid_action="raise")
    _, info = vector.reset(options={"architecture": [natrl.parse("VGG")] * N})
    with pytest.raises(ValueError, match="outside the action mask"):
        vector.step(np.argmin(info["action_mask"], axis=-1))
    with pytest.raises(ValueError, match="an array of shape"):
        vector.step(np.zeros((N, 2), dtype=int))


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
