"""Transforming: the promise, candidates, budgets, choices, other spaces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import natrl
from natrl.core.architecture import Architecture
from natrl.core.operations import Cost
from natrl.core.transitions import CostMode
from natrl.evaluation import Evaluator
from natrl.policies import Candidates, Policy, PolicyConfig, PolicyNetwork
from natrl.spaces import apply_actions, live_cost, network_cost, Skeleton, Space, space
from tests.policies.observations import HEADS, network, policy, samples

heads = pytest.mark.parametrize("head", HEADS)


class ByCost(Evaluator):
    """Scores that a test can tell: the dearer the better, or all alike."""

    def __init__(self, space: Space, flat: bool = False) -> None:
        self.space, self.flat = space, flat

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        scores = np.array([self.space.cost(a).madds for a in architectures]) / 1e10
        return np.full(len(scores), 0.5) if self.flat else scores


@settings(max_examples=25)
@given(
    name=st.sampled_from(["darts", "enas", "nasbench201"]),
    head=st.sampled_from(HEADS),
    cost=st.sampled_from(["strict", "live"]),
    seed=st.integers(0, 2**20),
    deterministic=st.booleans(),
)
def test_never_more_expensive_and_never_disconnected(
    name: str, head: str, cost: CostMode, seed: int, deterministic: bool
) -> None:
    """Untrained policies on random architectures: about 2 s for 25 examples."""
    p = policy(name, head, seed=seed, cost=cost)
    originals = samples(name, 8, seed)
    results = p.transform_batch(originals, deterministic=deterministic, seed=seed)
    candidates = p.transform(originals[0], n=4, seed=seed)
    for before, after in [
        *zip(originals, results, strict=True),
        *((originals[0], a) for a in candidates.architectures),
    ]:
        assert after.is_live
        assert p.space.cost(after) <= p.space.cost(before)
        if cost == "live":
            assert live_cost(after, p.space.skeleton) <= live_cost(before, p.space.skeleton)
        p.space.check(after)


@heads
def test_dead_architectures_are_transformed_too(head: str) -> None:
    dead = natrl.parse("|none~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    results = policy("nasbench201", head).transform(dead, n=20)
    assert len(results) > 2
    assert all(cost <= results.costs[0] for cost in results.costs)


@heads
def test_candidates(head: str) -> None:
    p = policy("darts", head)
    original = natrl.parse("DARTS")
    found = p.transform(original, n=10)
    assert found.original == found.architectures[0] == original
    assert found.best == found.architectures[1] == p.transform_batch([original])[0]
    assert len(found) == 12
    assert len({a.key for a in found.architectures}) == 12
    assert found.costs == tuple(natrl.network_cost(a) for a in found.architectures)
    assert found.scores is None
    assert found.log_probabilities.shape == (12,)
    assert np.isfinite(found.log_probabilities).all()


@heads
def test_log_probabilities_are_those_of_sampling(head: str) -> None:
    p = policy("darts", head)
    original = natrl.parse("DARTS")
    found = p.transform(original)
    obs = p.observe([original])
    actions, _, logs = p.network.sample(obs, deterministic=True)
    result = apply_actions(p.space, [original], actions.numpy(), obs["action_mask"].numpy())
    if not result.repaired.any():
        assert result.architectures[0] == found.best
        assert found.log_probabilities[1] == pytest.approx(logs.item(), abs=1e-3)
    (drawn,) = p.transform_batch([original], deterministic=False, seed=3)
    assert p.log_probabilities(obs, [drawn]).item() < 0


@heads
def test_the_seed_decides(head: str) -> None:
    p, original = policy("darts", head), natrl.parse("ResBlock")
    first, again, another = (p.transform(original, seed=seed) for seed in (1, 1, 2))
    assert first.architectures == again.architectures
    assert first.architectures[:2] == another.architectures[:2]
    assert first.architectures != another.architectures
    many = samples("darts", 20)
    drawn = [p.transform_batch(many, deterministic=False, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert p.transform_batch(many) == p.transform_batch(many, seed=5)


def test_a_sure_policy_still_proposes_different_architectures() -> None:
    """Nearly all its own samples are its mode; flatter ones fill up."""
    p = policy("darts", "autoregressive")
    for parameter in p.network.head.scorer.query.parameters():
        parameter.data.mul_(6)
    original = natrl.parse("DARTS")
    drawn = [p.transform_batch([original], deterministic=False, seed=seed)[0] for seed in range(20)]
    assert len(set(drawn)) < 8
    assert len(p.transform(original, n=10)) == 12


def test_batches_are_transformed_as_single_architectures() -> None:
    """Longer than one batch of the decoder."""
    p = policy("nasbench201", "autoregressive")
    originals = samples("nasbench201", 1100)
    results = p.transform_batch(originals)
    assert len(results) == 1100
    assert [p.transform_batch([a])[0] for a in originals[1020:1030]] == results[1020:1030]
    assert p.transform_batch([]) == []


def test_changes_and_savings() -> None:
    found = policy("darts", "joint").transform(natrl.parse("DARTS"))
    changes = found.changes()
    assert changes
    for change in changes:
        assert found.original.operations[change.index] == change.before != change.after
        assert found.best.operations[change.index] == change.after
        assert found.original.slots[change.index] == change.slot
        assert change.saving >= Cost()
    saved = Cost.total(change.saving for change in changes)
    assert saved + found.costs[found.best_index] == found.costs[0]
    assert found.changes(found.original) == ()


# Budgets


def reachable(p: Policy, original: Architecture) -> list[Architecture]:
    """Every live architecture that the masks allow, by enumeration."""
    masks = p.space.masks(original, p.rule, p.cost)
    names = p.space.primitives
    choices = product(*([names[k] for k in np.flatnonzero(row)] for row in masks))
    every = (original.with_operations(choice) for choice in choices)
    return [a for a in every if a.is_live]


@pytest.mark.parametrize("original", samples("nasbench201", 6, seed=5), ids=str)
def test_the_cheapest_reachable_cost_is_exact(original: Architecture) -> None:
    """A budget just below the true minimum is refused and names it; one at the minimum is met."""
    p = policy("nasbench201", "joint")
    costs = [p.space.cost(a) for a in reachable(p, original)]
    madds, params = min(c.madds for c in costs), min(c.params for c in costs)
    with pytest.raises(ValueError, match=rf"no transformation has .*; the smallest reachable cost is {madds:,} MAdds$"):
        p.transform(original, max_madds=madds - 1)
    with pytest.raises(ValueError, match=rf"the smallest reachable cost is {params:,} parameters$"):
        p.transform(original, max_params=params - 1)
    with pytest.raises(ValueError, match=rf"cost is {madds:,} MAdds, or {params:,} parameters$"):
        p.transform(original, max_params=params, max_madds=madds - 1)
    found = p.transform(original, max_madds=madds, max_params=params)
    assert found.costs[found.best_index] == Cost(params, madds)


@heads
@pytest.mark.parametrize("share", ["95%", "80%", "60%", "45%"])
def test_shares_of_the_original_bound_the_choice(head: str, share: str) -> None:
    p, original = policy("darts", head), natrl.parse("VGG")
    found = p.transform(original, max_madds=share, max_params=share)
    limit = float(share[:-1]) / 100
    chosen, before = found.costs[found.best_index], found.costs[0]
    assert chosen.madds <= limit * before.madds
    assert chosen.params <= limit * before.params
    number = p.transform(original, max_madds=limit * before.madds, max_params=limit * before.params)
    assert number.architectures == found.architectures
    assert number.best == found.best


def keeping(head: str) -> Policy:
    """A fresh policy that by itself changes nothing."""
    torch.manual_seed(0)
    return Policy(PolicyNetwork(PolicyConfig(space("darts").primitives, head, keep=3.0)), "darts")


@heads
@pytest.mark.parametrize("name", ["VGG", "DARTS"])
def test_a_binding_budget_is_nearly_used_up(head: str, name: str) -> None:
    """Operations are priced just so much that the choice fits; nulling everything would fit too."""
    p, original = keeping(head), natrl.parse(name)
    assert p.transform(original).best == original
    found = p.transform(original, max_madds="85%")
    assert 0.6 * found.costs[0].madds < found.costs[found.best_index].madds <= 0.85 * found.costs[0].madds


def test_a_budget_that_the_first_choice_meets_changes_nothing() -> None:
    p, original = policy("darts", "autoregressive"), natrl.parse("VGG")
    free = p.transform(original)
    assert p.transform(original, max_madds=free.costs[1].madds).best == free.best


@heads
def test_over_budget_the_most_probable_candidate_within_is_chosen(head: str) -> None:
    p, original = keeping(head), natrl.parse("VGG")
    found = p.transform(original, n=30, max_madds="85%")
    within = [i for i, cost in enumerate(found.costs) if cost.madds <= 0.85 * found.costs[0].madds]
    assert len(within) >= 30
    assert found.best_index == max(within, key=lambda i: found.log_probabilities[i])


@pytest.mark.parametrize("value", ["much", "-3", "80 percent", "%", -1, float("nan"), float("inf")])
def test_budgets_that_are_none(value: object) -> None:
    with pytest.raises(ValueError, match='max_madds must be a number or a share of the original such as "80%"'):
        policy("darts", "joint").transform(natrl.parse("VGG"), max_madds=value)  # type: ignore[arg-type]


# Choices


def test_the_evaluator_chooses_within_the_budget() -> None:
    p, original = policy("darts", "joint"), natrl.parse("DARTS")
    dearest = p.transform(original, evaluator=ByCost(p.space))
    assert dearest.best_index == 0
    assert dearest.scores is not None
    assert dearest.scores.tolist() == ByCost(p.space).evaluate(dearest.architectures).tolist()
    limit = 0.8 * dearest.costs[0].madds
    bounded = p.transform(original, evaluator=ByCost(p.space), max_madds="80%")
    chosen = bounded.costs[bounded.best_index].madds
    assert chosen == max(cost.madds for cost in bounded.costs if cost.madds <= limit)


def test_of_equal_scores_the_cheaper_is_chosen() -> None:
    p = policy("darts", "joint")
    found = p.transform(natrl.parse("DARTS"), evaluator=ByCost(p.space, flat=True))
    assert found.costs[found.best_index].madds == min(cost.madds for cost in found.costs)


def test_scores_that_are_none() -> None:
    class Broken(ByCost):
        def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
            return np.full(len(architectures), np.nan)

    p = policy("darts", "joint")
    with pytest.raises(ValueError, match="evaluator returned nan as accuracy of architecture normal: sep_conv_3x3:0>2"):
        p.transform(natrl.parse("DARTS"), evaluator=Broken(p.space))


@pytest.mark.parametrize("n", [0, -1])
def test_n_below_one(n: int) -> None:
    with pytest.raises(ValueError, match=f"n must be at least 1, got {n}"):
        policy("darts", "joint").transform(natrl.parse("DARTS"), n=n)


# Spaces and skeletons


@heads
def test_a_policy_is_applied_to_other_spaces(head: str) -> None:
    p = policy("nasbench201", head)
    for name, original in (("enas", "ENAS"), ("darts", "VGG"), ("nao", "NAONet")):
        found = p.transform(natrl.parse(original), space=name)
        assert found.architectures == p.on(name).transform(natrl.parse(original)).architectures
        assert len(found) > 10
        assert all(
            a.is_live and cost <= found.costs[0] for a, cost in zip(found.architectures, found.costs, strict=True)
        )


def test_costs_are_those_of_the_skeleton_given() -> None:
    p, original = policy("darts", "joint"), natrl.parse("VGG")
    skeleton = Skeleton(channels=16, cells=8, image_size=28, image_channels=1)
    found = p.transform(original, skeleton=skeleton, max_madds="70%")
    assert found.costs == tuple(network_cost(a, skeleton) for a in found.architectures)
    assert found.costs[found.best_index].madds <= 0.7 * network_cost(original, skeleton).madds
    assert Cost.total(c.saving for c in found.changes()) + found.costs[found.best_index] == found.costs[0]


@heads
def test_the_promise_holds_for_skeletons_of_any_width(head: str) -> None:
    """With 1 channel a separable convolution has more parameters than the plain one that it replaces."""
    skeleton = Skeleton(channels=1, cells=3, image_size=8)
    p, original = policy("darts", head, seed=2), natrl.parse("VGG")
    normal, reduce = original.operations[:8], original.operations[8:]
    separable = original.with_operations([*(op.replace("conv_3x3", "sep_conv_3x3") for op in normal), *reduce])
    assert p.space.cost(separable) <= p.space.cost(original)
    assert not network_cost(separable, skeleton) <= network_cost(original, skeleton)
    found = p.transform(original, n=100, skeleton=skeleton)
    assert len(found) > 50
    assert all(cost <= found.costs[0] for cost in found.costs)


@pytest.mark.parametrize("call", ["transform", "transform_batch"])
def test_architectures_of_another_space(call: str) -> None:
    def apply(architecture: Architecture) -> Candidates | list[Architecture]:
        p = policy("darts", "joint")
        return p.transform(architecture) if call == "transform" else p.transform_batch([architecture])

    with pytest.raises(ValueError, match="space 'darts' has 16 slots, this architecture has 20"):
        apply(natrl.parse("ENAS"))
    seven = natrl.parse("VGG")
    with pytest.raises(ValueError, match="slot 3: 'conv_7x7' is not a primitive of space 'darts'"):
        apply(seven.with_operations([*seven.operations[:3], "conv_7x7", *seven.operations[4:]]))


def test_policies_that_fit_no_space() -> None:
    net = network(space("nasbench201").primitives, "joint")
    with pytest.raises(ValueError, match="the network acts on other primitives than those of space 'darts'"):
        Policy(net, "darts")
    with pytest.raises(ValueError, match="unknown rule 'nat3'; known: nat, nat"):
        Policy(net, "nasbench201", "nat3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown cost mode 'free'; known: strict, rule, live"):
        Policy(net, "nasbench201", "nat", "free")  # type: ignore[arg-type]
