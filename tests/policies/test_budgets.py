"""A policy that is given budgets: it keeps to every one, and learns to use them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision

import natrl
from natrl.policies import load_policy, Policy
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.spaces.budget import Budget, fewest

SHARES = (1.0, 0.8, 0.5, 0.25)


def policy(space, head="autoregressive", kinds=("madds",), scale=3.0):
    """Of random weights, far from even."""
    space = natrl.space(space)
    torch.manual_seed(0)
    network = PolicyNetwork(PolicyConfig(primitives=space.primitives, head=head, width=16, budget=kinds))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(scale * torch.randn_like(weight) / weight.shape[-1] ** 0.5 if weight.dim() > 1 else 0)
    return Policy(network.eval(), space)


@pytest.mark.parametrize("head", ["autoregressive", "joint", "lstm"])
@pytest.mark.parametrize("kinds", [("madds",), ("params", "madds")], ids=str)
@pytest.mark.parametrize("space", ["nasbench201", "darts"])
def test_nothing_proposed_is_beyond_the_budget(space, kinds, head):
    found, rng = policy(space, head, kinds), np.random.default_rng(0)
    for share in SHARES:
        for _ in range(4):
            before = found.space.sample(rng)
            cost = found.space.cost(before)
            least = fewest(found.space, before, found.space.masks(before), madds=1)
            if found.space.cost(least).madds > share * cost.madds:
                with pytest.raises(ValueError, match="the smallest reachable cost is"):
                    found.transform(before, max_madds=f"{100 * share}%")
                continue
            candidates = found.transform(before, n=5, max_madds=f"{100 * share}%")
            assert all(c.madds <= share * cost.madds and c.params <= cost.params for c in candidates.costs[1:])
            assert candidates.best.is_live


def test_of_a_users_network_too():
    """Sums over slots are never below what it costs without the layers that only nulls feed."""
    space = natrl.from_module(torchvision.models.squeezenet1_1(num_classes=10).eval(), torch.zeros(2, 3, 64, 64))
    torch.manual_seed(0)
    network = PolicyNetwork(PolicyConfig(primitives=space.primitives, width=16, budget=("madds",)))
    found, before = Policy(network.eval(), space), space.architecture
    for share in (0.8, 0.5, 0.35):
        candidates = found.transform(before, n=5, max_madds=f"{100 * share}%")
        assert max(cost.madds for cost in candidates.costs[1:]) <= share * space.cost(before).madds


def test_without_a_limit_it_is_what_the_original_costs():
    found = policy("nasbench201")
    before = found.space.sample(np.random.default_rng(1))
    limited = found.transform(before, n=3, max_madds="100%")
    assert found.transform(before, n=3).architectures == limited.architectures
    held = [found.space.primitives.index(op) for op in before.operations]
    obs = found.observe([before])
    assert obs["budget"][0, 1] == obs["costs"][0, range(6), held, 1].sum()
    assert obs["budget"][0, 0] == torch.inf  # it was trained with MAdds alone


@pytest.mark.parametrize("head", ["autoregressive", "joint"])
def test_teacher_forcing_agrees_with_what_was_sampled(head):
    found = policy("nasbench201", head)
    rng = np.random.default_rng(2)
    architectures = [found.space.sample(rng) for _ in range(32)]
    obs = found.observe(architectures, Budget(madds=3e7))
    for given in (obs, {name: t.float() if t.is_floating_point() else t for name, t in obs.items()}):
        actions, logits, log_prob = found.network.sample(given, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(found.network.evaluate(given, actions), logits, atol=1e-4)
        assert torch.isfinite(log_prob).all()
        assert torch.isfinite(found.network.value(given)).all()


def test_it_is_stored_and_read(tmp_path):
    found = policy("nasbench201")
    found.save(tmp_path)
    before = found.space.sample(np.random.default_rng(3)).with_operations(["conv_3x3"] * 6)
    again = load_policy(tmp_path)
    assert again.network.config.budget == ("madds",)
    first, second = (one.transform(before, max_madds="60%").architectures for one in (found, again))
    assert first == second


def test_a_new_policy_cares_about_no_budget():
    space = natrl.space("nasbench201")
    network = PolicyNetwork(PolicyConfig(primitives=space.primitives, budget=("madds",)))
    obs = Policy(network, space).observe([space.sample(np.random.default_rng(0))])
    plain = {name: t for name, t in obs.items() if name not in ("costs", "budget")}
    assert torch.allclose(network.value(obs), network.value(plain))


def test_kinds_are_checked():
    with pytest.raises(ValueError, match="budget must be some of params, madds"):
        PolicyConfig(primitives=("conv_3x3",), budget=("latency",))
