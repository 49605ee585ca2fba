"""The promise: never more expensive, never disconnected, over random architectures and random masked actions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natrl.core.architecture import Architecture, wiring
from natrl.core.connectivity import LivePath
from natrl.core.genotypes import nasbench201_architecture, zoo
from natrl.core.transitions import CostMode, Rule
from natrl.spaces import apply_actions, CellSpace, live_cost, network_cost, Skeleton, Space, space
from natrl.spaces.nasbench201 import NasBench201Space


class Actor:
    """Random allowed choices: of every slot anew, mostly null, or mostly keeping (then single changes show)."""

    def __init__(self, home: Space, seed: int, style: str) -> None:
        self.home, self.rng = home, np.random.default_rng(seed)
        self.null = home.primitives.index("null")
        self.p_null = 0.8 if style == "nulls" else 0.0
        self.p_keep = 0.9 if style == "sparse" else 0.0

    def choose(self, mask: np.ndarray, held: str) -> int:
        """A primitive of one slot, whose mask is bool (K,)."""
        own, draw = self.home.primitives.index(held), self.rng.random()
        if draw < self.p_null and mask[self.null]:
            return self.null
        if draw < self.p_keep and mask[own]:
            return own
        return int(self.rng.choice(np.flatnonzero(mask)))


def joint(actor: Actor, before: Architecture, masks: np.ndarray) -> Architecture:
    """All slots at once; what would cut the last path is repaired."""
    chosen = [actor.choose(mask, held) for mask, held in zip(masks, before.operations, strict=True)]
    applied = apply_actions(actor.home, [before], np.array([chosen]), masks[None])
    assert applied.invalid.tolist() == [0]
    (after,) = applied.architectures
    names = [actor.home.primitives[k] for k in chosen]
    assert applied.repaired[0] == sum(a != b for a, b in zip(after.operations, names, strict=True))
    return after


def sequential(actor: Actor, before: Architecture, masks: np.ndarray) -> Architecture:
    """Slot after slot; the choice that would cut the last path is masked."""
    null = actor.null
    active = np.array([[op != "null" for op in before.operations]])
    possible = np.delete(masks, null, axis=1).any(1)[None]
    path = LivePath(active, possible, wiring(before.cells))
    operations = []
    for e, mask in enumerate(masks):
        allowed = mask.copy()
        allowed[null] &= path.may_null(e)[0]
        assert allowed.any()
        k = actor.choose(allowed, before.operations[e])
        path.decide(e, np.array([k != null]))
        operations.append(actor.home.primitives[k])
    return before.with_operations(operations)


DECODINGS = {"joint": joint, "sequential": sequential}
styles = st.sampled_from(["anew", "nulls", "sparse"])
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("name", ["darts", "enas", "nao", "nasbench201"])
@given(seed=seeds, style=styles, mode=st.sampled_from(["strict", "live"]), rule=st.sampled_from(["nat", "nat++"]))
@settings(max_examples=60)
def test_masked_transforms_cost_no_more_and_stay_live(
    decoding: str, name: str, seed: int, style: str, mode: CostMode, rule: Rule
) -> None:
    """Five transforms in a row, each step and so the whole no dearer. The eight cases take 0.5–1 s each."""
    home = space(name)
    actor = Actor(home, seed, style)
    architecture = home.sample(actor.rng)
    for _ in range(5):
        after = DECODINGS[decoding](actor, architecture, home.masks(architecture, rule, mode))
        assert home.check(after).is_live
        assert home.cost(after) <= home.cost(architecture)
        if mode == "live":
            assert live_cost(after, home.skeleton) <= live_cost(architecture, home.skeleton)
        architecture = after


@given(
    seed=seeds,
    style=styles,
    channels=st.integers(1, 8),
    cells=st.integers(1, 9),
    image_size=st.integers(1, 33),
    kind=st.sampled_from(["darts", "nasbench201"]),
)
def test_the_promise_holds_on_the_spaces_own_skeleton_whatever_it_is(
    seed: int, style: str, channels: int, cells: int, image_size: int, kind: str
) -> None:
    """Very thin and odd-sized networks too, in which a separable convolution can be dearer than a plain one."""
    skeleton = Skeleton(channels=channels, cells=cells, image_size=image_size)
    if kind == "darts":
        home: Space = CellSpace("thin", nodes=3, skeleton=skeleton)
    else:
        home = NasBench201Space()
        home.skeleton = skeleton
    actor = Actor(home, seed, style)
    before = home.sample(actor.rng)
    after = joint(actor, before, home.masks(before))
    assert network_cost(after, skeleton) <= network_cost(before, skeleton)


def test_thin_networks_forbid_what_would_cost_more_there() -> None:
    """At 1 channel a separable 3×3 has 2·(9 + 1) weights, a plain one 9."""
    wide = CellSpace("wide", nodes=4)
    thin = replace(wide, skeleton=Skeleton(channels=1))
    slot, sep = 3, wide.primitives.index("sep_conv_3x3")  # VGG's slot 3 holds conv_3x3
    assert zoo()["VGG"].operations[slot] == "conv_3x3"
    assert wide.masks(zoo()["VGG"])[slot, sep]
    assert not thin.masks(zoo()["VGG"])[slot, sep]


# The published rule alone breaks the promise.


@pytest.mark.parametrize("name", ["VGG", "ResBlock"])
def test_the_published_rule_alone_raises_the_cost(name: str) -> None:
    """The papers' own results: a null or pooling that reads an input of a reduction cell became a skip."""
    home, before, after = space("darts"), zoo()[name], zoo()[f"NAT_{name}"]
    slots = list(before.changes(after))
    choices = [home.primitives.index(after.operations[e]) for e in slots]
    assert home.masks(before, "nat", cost="rule")[slots, choices].all()
    assert not network_cost(after) <= network_cost(before)
    allowed = home.masks(before, "nat", cost="strict")[slots, choices]
    for e, fine in zip(slots, allowed, strict=True):
        assert fine == (before.slots[e].stride == 1)


PUBLISHED = [
    ("DARTS", "NAT_DARTS", "nat"),
    ("DARTS", "NATv2_DARTS", "nat++"),
    ("ENAS", "NAT_ENAS", "nat"),
    ("ENAS", "NATv2_ENAS", "nat++"),
    ("VGG", "NATv2_VGG", "nat++"),
    ("ResBlock", "NATv2_ResBlock", "nat++"),
    ("Mobilenetv2", "NAT_MobileNetv2", "nat"),
    ("Mobilenetv2", "NATv2_MobileNetv2", "nat++"),
]


@pytest.mark.parametrize(("before", "after", "rule"), PUBLISHED)
def test_the_published_results_are_transitions_of_the_published_rule(before: str, after: str, rule: Rule) -> None:
    old, new = zoo()[before], zoo()[after]
    home = space("enas" if "ENAS" in before else "darts")
    assert old.cells == new.cells
    choices = [home.primitives.index(op) for op in new.operations]
    assert home.masks(old, rule, cost="rule")[np.arange(home.n_slots), choices].all()


def test_the_walk_above_would_notice_a_broken_promise() -> None:
    """The same random actions with the cost left out of the mask: some results are dearer."""
    home = space("darts")
    actor = Actor(home, 0, "sparse")
    dearer = 0
    for _ in range(200):
        before = home.sample(actor.rng)
        dearer += not home.cost(joint(actor, before, home.masks(before, cost="rule"))) <= home.cost(before)
    assert dearer >= 5


def test_without_repair_most_random_transforms_of_vgg_are_disconnected() -> None:
    home, vgg = space("darts"), zoo()["VGG"]
    actor, masks = Actor(home, 0, "anew"), home.masks(vgg)
    rows = [[actor.choose(mask, op) for mask, op in zip(masks, vgg.operations, strict=True)] for _ in range(100)]
    dead = sum(not vgg.with_operations([home.primitives[k] for k in row]).is_live for row in rows)
    applied = apply_actions(home, [vgg] * 100, np.array(rows), np.repeat(masks[None], 100, 0))
    assert dead > 50
    assert (applied.repaired > 0).sum() == dead
    assert all(after.is_live for after in applied.architectures)


def test_strict_masks_may_bring_a_dead_part_to_life_and_live_masks_may_not() -> None:
    """nor_conv_3x3:0>1 is read by nothing until null:1>3 becomes a skip: the count stays, the live count rises."""
    home = space("nasbench201")
    before, after = nasbench201_architecture("300100"), nasbench201_architecture("300110")
    (e,) = before.changes(after)
    skip = home.primitives.index("skip_connect")
    assert home.masks(before, cost="strict")[e, skip]
    assert not home.masks(before, cost="live")[e, skip]
    assert home.cost(after) == home.cost(before)
    assert not live_cost(after, home.skeleton) <= live_cost(before, home.skeleton)


# Applying actions.


def test_actions_outside_the_mask_keep_the_operation_and_are_counted() -> None:
    home = space("nasbench201")
    before = nasbench201_architecture("341112")
    null = home.primitives.index("null")
    conv3 = home.primitives.index("conv_3x3")
    actions = np.array([[null, conv3, null, conv3, conv3, null]])
    applied = apply_actions(home, [before], actions, home.masks(before)[None])
    assert [a.operations for a in applied.architectures] == [
        ("null", "avg_pool_3x3", "null", "skip_connect", "skip_connect", "null")
    ]
    assert applied.invalid.tolist() == [3]
    assert applied.repaired.tolist() == [0]


def test_keeping_everything_changes_nothing() -> None:
    home, rng = space("enas"), np.random.default_rng(0)
    before = [home.sample(rng) for _ in range(4)]
    actions = np.array([[home.primitives.index(op) for op in a.operations] for a in before])
    applied = apply_actions(home, before, actions, home.batch_masks(before))
    assert applied.architectures == before
    assert not applied.invalid.any()
    assert not applied.repaired.any()
