"""The built-in spaces: sampling, masks, checks and the registry."""

from __future__ import annotations

import numpy as np
import pytest

import natrl
from natrl.core.architecture import Architecture
from natrl.core.genotypes import nasbench201_architecture, zoo
from natrl.core.operations import PRIMITIVES
from natrl.core.transitions import successors
from natrl.spaces import CellSpace, network_cost, register_space, Skeleton, Space, space, SPACES

NAMES = ("darts", "darts301", "enas", "nao", "nasbench201")


# Sampling.


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_valid_live_and_of_the_space(name: str) -> None:
    home = space(name)
    rng = np.random.default_rng(0)
    for _ in range(100):
        architecture = home.sample(rng)
        assert home.check(architecture.validate()).is_live
        assert len(architecture.slots) == home.n_slots


@pytest.mark.parametrize("name", NAMES)
def test_samples_repeat_with_the_seed_and_differ_without(name: str) -> None:
    def samples(seed: int) -> list[Architecture]:
        rng = np.random.default_rng(seed)
        return [space(name).sample(rng) for _ in range(10)]

    assert samples(1) == samples(1)
    assert len(set(samples(1) + samples(2))) == 20


@pytest.mark.parametrize("name", NAMES)
def test_samples_use_every_primitive(name: str) -> None:
    rng = np.random.default_rng(0)
    used = {op for _ in range(100) for op in space(name).sample(rng).operations}
    assert used == set(space(name).primitives)


def test_outputs_of_the_cell_spaces() -> None:
    rng = np.random.default_rng(0)
    full, loose = CellSpace("full", nodes=4, chains=0.0), CellSpace("loose", nodes=5, concat="loose", chains=0.0)
    for _ in range(20):
        for cell in full.sample(rng).cells:
            assert cell.outputs == (2, 3, 4, 5)
            assert [target for _, target in cell.edges] == [2, 2, 3, 3, 4, 4, 5, 5]
        for cell in loose.sample(rng).cells:
            read = {source for source, _ in cell.edges}
            assert set(cell.outputs) == set(range(2, 7)) - read


def test_chains_are_shaped_like_hand_made_networks() -> None:
    """As VGG: each node reads the one before it, and the last node alone is the output."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        for cell in CellSpace("chain", nodes=4, chains=1.0).sample(rng).cells:
            assert [max(s for s, t in cell.edges if t == node) for node in range(2, 6)] == [1, 2, 3, 4]
            assert cell.outputs == (5,)
    shares = [space("darts").sample(rng).cells[0].outputs == (5,) for _ in range(300)]
    assert 0.2 < np.mean(shares) < 0.4


def test_nasbench201_lists_its_architectures() -> None:
    everything = set(space("nasbench201").architectures())
    assert len(everything) == 15_625
    assert nasbench201_architecture("314202") in everything
    with pytest.raises(ValueError, match="space 'darts' is too large to list"):
        space("darts").architectures()


# Masks.


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", ["nat", "nat++"])
def test_rule_masks_are_the_successors_of_each_slot(name: str, rule: str) -> None:
    home = space(name)
    architecture = home.sample(np.random.default_rng(0))
    masks = home.masks(architecture, rule=rule, cost="rule")
    assert (masks.shape, masks.dtype) == ((home.n_slots, len(home.primitives)), np.bool_)
    for row, op in zip(masks, architecture.operations, strict=True):
        allowed = tuple(p for p, fine in zip(home.primitives, row, strict=True) if fine)
        assert allowed == successors(op, rule, home.primitives)


@pytest.mark.parametrize("name", NAMES)
def test_strict_masks_remove_exactly_what_costs_more_at_a_slot(name: str) -> None:
    home = space(name)
    rng = np.random.default_rng(0)
    for _ in range(5):
        architecture = home.sample(rng)
        rule, strict = home.masks(architecture, cost="rule"), home.masks(architecture, cost="strict")
        before = home.cost(architecture)
        for e, k in np.argwhere(rule):
            operations = list(architecture.operations)
            operations[e] = home.primitives[k]
            assert strict[e, k] == (home.cost(architecture.with_operations(operations)) <= before)
        assert not (strict & ~rule).any()


@pytest.mark.parametrize("cost", ["strict", "rule", "live"])
def test_every_slot_may_keep_its_operation(cost: str) -> None:
    for name in NAMES:
        home = space(name)
        architecture = home.sample(np.random.default_rng(0))
        masks = home.masks(architecture, cost=cost)
        own = [home.primitives.index(op) for op in architecture.operations]
        assert masks[np.arange(home.n_slots), own].all()


def test_live_masks_differ_only_where_null_could_become_a_skip() -> None:
    home = space("nasbench201")
    rng = np.random.default_rng(0)
    architectures = [home.sample(rng) for _ in range(1000)]
    strict, live = home.batch_masks(architectures, cost="strict"), home.batch_masks(architectures, cost="live")
    null = np.array([[op == "null" for op in a.operations] for a in architectures])
    b, e, k = np.nonzero(strict & ~live)
    assert len(b)
    assert null[b, e].all()
    assert {home.primitives[i] for i in k} == {"skip_connect"}
    assert not (live & ~strict).any()


def test_masks_of_a_batch_are_those_of_its_members() -> None:
    home = space("enas")
    rng = np.random.default_rng(0)
    architectures = [home.sample(rng) for _ in range(5)]
    batch = home.batch_masks(architectures, cost="live")
    assert batch.shape == (5, home.n_slots, len(home.primitives))
    assert all((row == home.masks(a, cost="live")).all() for row, a in zip(batch, architectures, strict=True))
    batch[:] = False  # the caller's own copy
    assert home.masks(architectures[0]).any()


def test_masks_know_the_choices() -> None:
    vgg = zoo()["VGG"]
    with pytest.raises(ValueError, match="unknown cost mode 'free'; known: strict, rule, live"):
        space("darts").masks(vgg, cost="free")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"unknown rule 'nat3'; known: nat, nat\+\+"):
        space("darts").masks(vgg, rule="nat3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'conv_5x5' is not a primitive of space 'nasbench201'"):
        space("nasbench201").masks(nasbench201_architecture("000000").with_operations(["conv_5x5"] * 6))


# Membership.


@pytest.mark.parametrize(
    ("home", "other", "reason"),
    [
        ("darts", "ENAS", "space 'darts' has 16 slots, this architecture has 20"),
        ("enas", "NAONet", "slot 3: 'conv_1x3_3x1' is not a primitive of space 'enas'; they are: conv_5x5, "),
        ("nasbench201", "VGG", "space 'nasbench201' has one cell of 6 slots: 0>1 0>2"),
    ],
)
def test_strangers_are_refused(home: str, other: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        space(home).check(zoo()[other])


def test_the_cost_of_a_space_is_that_of_its_skeleton() -> None:
    a, cell = zoo()["DARTS"], nasbench201_architecture("333333")
    assert space("darts").cost(a) == network_cost(a, Skeleton())
    assert space("nasbench201").cost(cell) == network_cost(cell, Skeleton(channels=16, cells=15))
    small = Skeleton(channels=4, cells=3)
    assert space("darts").on(small).cost(a) == network_cost(a, small)


# The registry.


@pytest.mark.usefixtures("forgotten_spaces")
def test_a_space_is_found_by_its_name() -> None:
    mine = CellSpace("mine", nodes=2)
    assert register_space(mine) is mine
    assert natrl.space("mine") is mine
    assert natrl.space(mine) is mine
    assert SPACES.names() == (*NAMES, "mine")


@pytest.mark.usefixtures("forgotten_spaces")
def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="space 'darts' is registered already"):
        register_space(CellSpace("darts", nodes=2))
    assert space("darts").n_slots == 16


def test_an_unknown_space_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown space 'dart'; known: darts, darts301, enas, nao, nasbench201"):
        space("dart")


def test_the_built_in_spaces() -> None:
    assert SPACES.names() == NAMES
    assert [space(name).n_slots for name in NAMES] == [16, 16, 20, 20, 6]
    assert space("darts").primitives == PRIMITIVES
    assert repr(space("darts")) == "<space darts: 16 slots, 13 primitives>"
    assert isinstance(space("nao"), Space)
