"""The mask in every layout is the mask of the state, behind other wrappers too."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FilterObservation, FlattenObservation, TimeLimit

import natrl.envs  # noqa: F401  # registers the environments
from natrl.envs.wrappers import MaskAsBox, MaskedObservation, MaskForSampling, MaskMethods
from tests.envs.checks import ByName

IDS = ("natrl/ArchTransition-v0", "natrl/ArchTransitionSequential-v0")
WRAPPERS = (MaskAsBox, MaskedObservation, MaskForSampling, MaskMethods)


def make(env_id: str) -> gymnasium.Env:
    return gymnasium.make(env_id, space="nasbench201", evaluator=ByName(), horizon=3)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version:UserWarning")  # the wrapper is the point
@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_checker_passes_and_the_spec_makes_the_same_again(env_id, wrapper):
    env = wrapper(make(env_id))
    check_env(env, skip_render_check=True)
    again = gymnasium.make(env.spec)
    assert isinstance(again, wrapper)


@pytest.mark.parametrize("env_id", IDS)
def test_methods_survive_wrappers_on_both_sides(env_id):
    inner = FlattenObservation(FilterObservation(make(env_id), ["ops"]))
    env = TimeLimit(MaskMethods(inner), 100)
    _, info = env.reset(seed=0)
    for _ in range(8):
        np.testing.assert_array_equal(env.env.action_masks(), info["action_mask"].ravel())
        np.testing.assert_array_equal(env.get_wrapper_attr("action_masks")(), info["action_mask"].ravel())
        np.testing.assert_array_equal(env.get_wrapper_attr("action_mask"), info["action_mask"])
        _, _, ended, _, info = env.step(np.argmax(info["action_mask"], axis=-1))
        if ended:
            _, info = env.reset()
    with pytest.raises(AttributeError):
        inner.action_masks()  # why the wrapper is there


@pytest.mark.parametrize("env_id", IDS)
def test_sampling_with_the_mask_of_info_never_leaves_it(env_id):
    env = MaskForSampling(make(env_id))
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    seen = set()
    for _ in range(60):
        action = env.action_space.sample(info["action_mask"])
        seen.add(str(action))
        _, _, ended, _, info = env.step(action)
        assert info["invalid_actions"] == 0
        if ended:
            _, info = env.reset()
    assert len(seen) > 3
    plain = make(env_id)
    plain.reset(seed=0)
    plain.action_space.seed(0)
    assert any(
        plain.step(plain.action_space.sample())[4]["invalid_actions"]
        for _ in range(4 if "Sequential" not in env_id else 18)
    )  # what the mask avoids


@pytest.mark.parametrize("env_id", IDS)
def test_masked_observations_hold_everything_flat(env_id):
    plain = make(env_id)
    env = MaskedObservation(FilterObservation(plain, [k for k in plain.observation_space if k != "adjacency"]))
    observation, info = env.reset(seed=0)
    slots, primitives = 6, 5
    expected = env.unwrapped.observation_space
    size = sum(gymnasium.spaces.flatdim(expected[k]) for k in expected if k not in ("adjacency", "action_mask"))
    assert observation["observations"].shape == (size,)
    assert observation["action_mask"].size == (slots * primitives if "Sequential" not in env_id else primitives)
    np.testing.assert_array_equal(observation["action_mask"], info["action_mask"].ravel())
    assert env.observation_space.contains(observation)


def test_masks_as_boxes_keep_their_two_axes():
    env = MaskAsBox(make(IDS[0]))
    observation, info = env.reset(seed=0)
    assert isinstance(env.observation_space["action_mask"], gymnasium.spaces.Box)
    np.testing.assert_array_equal(observation["action_mask"], info["action_mask"])
