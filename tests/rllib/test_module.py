"""The RLModule and its distribution agree with the policy network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

import natrl
from natrl.envs import ArchTransitionVectorEnv
from natrl.policies.bmsoftmax import BMSoftmax
from natrl.policies.network import PolicyConfig
from natrl.rllib.distribution import masked_distribution
from natrl.rllib.module import module_spec
from tests.envs.checks import ByName


@pytest.fixture(scope="module", params=["joint", "autoregressive", "lstm"])
def module(request):
    torch.manual_seed(0)
    env = ArchTransitionVectorEnv(1, space="darts", evaluator=ByName())
    spec = module_spec(PolicyConfig(primitives=natrl.space("darts").primitives, head=request.param, width=16))
    spec.observation_space, spec.action_space = env.single_observation_space, env.single_action_space
    return spec.build()


@pytest.fixture(scope="module")
def observations():
    env = ArchTransitionVectorEnv(32, space="darts", evaluator=ByName())
    arrays, _ = env.reset(seed=0)
    return {key: torch.as_tensor(value) for key, value in arrays.items()}


def test_log_probabilities_agree_in_exploration_and_training(module, observations):
    out = module.forward_exploration({Columns.OBS: observations})
    train = module.forward_train({Columns.OBS: observations, Columns.ACTIONS: out[Columns.ACTIONS]})
    policy = module.get_train_action_dist_cls().from_logits(train[Columns.ACTION_DIST_INPUTS])
    torch.testing.assert_close(policy.logp(out[Columns.ACTIONS]), out[Columns.ACTION_LOGP])
    torch.testing.assert_close(train[Columns.ACTION_DIST_INPUTS], out[Columns.ACTION_DIST_INPUTS])
    assert torch.isfinite(policy.entropy()).all()


def test_actions_are_allowed(module, observations):
    for forward in (module.forward_exploration, module.forward_inference):
        actions = forward({Columns.OBS: observations})[Columns.ACTIONS]
        assert observations["action_mask"].gather(-1, actions[..., None]).all()


def test_inference_repeats_exploration_does_not(module, observations):
    batch = {Columns.OBS: observations}
    first, second = (module.forward_inference(batch)[Columns.ACTIONS] for _ in range(2))
    assert torch.equal(first, second)
    first, second = (module.forward_exploration(batch)[Columns.ACTIONS] for _ in range(2))
    assert not torch.equal(first, second)


def test_values_have_one_number_a_state(module, observations):
    assert module.compute_values({Columns.OBS: observations}).shape == (32,)


def test_distribution_reads_the_mask_off_the_logits():
    rng = np.random.default_rng(0)
    mask = torch.as_tensor(rng.random((5, 4, 3)) < 0.6)
    mask[..., 0] = True
    logits = torch.as_tensor(rng.normal(size=(5, 4, 3)), dtype=torch.float32)
    direct, other = BMSoftmax(logits, mask), BMSoftmax(-logits, mask)
    cls = masked_distribution(3)
    wrapped, wrapped_other = (cls.from_logits(d.logits.flatten(1)) for d in (direct, other))
    actions = wrapped.sample()
    torch.testing.assert_close(wrapped.logp(actions), direct.log_prob(actions))
    torch.testing.assert_close(wrapped.entropy(), direct.entropy())
    torch.testing.assert_close(wrapped.kl(wrapped_other), direct.kl_divergence(other))
    assert torch.equal(wrapped.to_deterministic().sample(), direct.mode())
