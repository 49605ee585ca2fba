"""Batches of architectures as arrays say what the architectures themselves say."""

from __future__ import annotations

import numpy as np
import pytest

from natrl.core.architecture import Architecture, Cell
from natrl.core.connectivity import repair
from natrl.core.genotypes import zoo
from natrl.spaces import apply_actions, Batch, encode, Space, space, transition
from natrl.spaces.topologies import REMEMBERED_SLOTS

SPACES = ("darts", "enas", "nao", "nasbench201")


def drawn(name: str, n: int = 8) -> tuple[Space, list[Architecture]]:
    home, rng = space(name), np.random.default_rng(3)
    return home, [home.sample(rng) for _ in range(n)]


@pytest.mark.parametrize("name", SPACES)
def test_samples_are_those_of_single_calls_and_leave_the_same_random_state(name: str) -> None:
    home, single, many = space(name), np.random.default_rng(5), np.random.default_rng(5)
    for n in (1, 7, 30):
        assert list(home.samples(many, n)) == [home.sample(single) for _ in range(n)]
    assert single.bit_generator.state == many.bit_generator.state


@pytest.mark.parametrize("cost", ["strict", "live", "rule"])
@pytest.mark.parametrize("name", SPACES)
def test_masks_costs_and_observations_are_those_of_each_architecture(name: str, cost) -> None:  # type: ignore[no-untyped-def]
    home, architectures = drawn(name)
    batch = Batch.of(home, architectures)
    np.testing.assert_array_equal(batch.masks("nat++", cost), [home.masks(a, "nat++", cost) for a in architectures])
    assert batch.costs.tolist() == [[c.params, c.madds] for c in map(home.cost, architectures)]
    for key, value in encode(architectures).items():
        np.testing.assert_array_equal(batch.encode()[key], value)
        assert batch.encode()[key].dtype == value.dtype


@pytest.mark.parametrize("name", SPACES)
def test_parts_of_a_batch_are_sequences_of_architectures(name: str) -> None:
    home, architectures = drawn(name)
    batch = Batch.of(home, architectures)
    assert list(batch) == list(np.asarray(batch)) == architectures
    assert list(batch[2:5]) == architectures[2:5]
    assert batch[-1] == architectures[-1]
    assert list(batch.take(np.array([3, 3, 0]))) == [architectures[i] for i in (3, 3, 0)]
    with pytest.raises(IndexError):
        batch[8]


def test_observations_are_the_callers_to_change() -> None:
    home, architectures = drawn("nasbench201")
    batch = Batch.of(home, architectures)
    before = {key: value.copy() for key, value in batch.encode().items()}
    for value in batch.encode().values():
        value[:] = 0
    for key, value in batch.encode().items():
        np.testing.assert_array_equal(value, before[key])


def test_repairs_that_are_remembered_are_those_that_are_worked_out() -> None:
    """Twice, so that the second time nothing is new; against the repair of each row by itself."""
    home, architectures = drawn("nasbench201", 40)
    assert home.n_slots <= REMEMBERED_SLOTS
    batch, null = Batch.of(home, architectures), home.primitives.index("null")
    rng = np.random.default_rng(0)
    old = batch.choices != null
    for _ in range(2):
        new = rng.random(old.shape) < 0.3
        keep = batch.topologies.kept(old, new)
        assert keep is not None
        assert keep.any()
        for i in range(len(old)):
            np.testing.assert_array_equal(
                keep[i : i + 1], repair(old[i : i + 1], new[i : i + 1], batch.topologies.wiring)
            )
    kept = batch.topologies.kept(old, old)
    assert kept is None or not kept.any()


@pytest.mark.parametrize("name", SPACES)
def test_transitions_are_those_of_each_architecture(name: str) -> None:
    home, architectures = drawn(name, 20)
    batch, rng = Batch.of(home, architectures), np.random.default_rng(1)
    actions = rng.integers(len(home.primitives), size=batch.choices.shape)
    after, invalid, repaired = transition(batch, actions, batch.masks())
    assert invalid.any()
    for i, architecture in enumerate(architectures):
        alone = apply_actions(home, [architecture], actions[i : i + 1], home.masks(architecture)[None])
        assert (after[i], invalid[i], repaired[i]) == (alone.architectures[0], *alone.invalid, *alone.repaired)


def test_numbers_are_given_to_listed_spaces_of_one_topology_only() -> None:
    home = space("nasbench201")
    everything = list(home.architectures())
    codes = Batch.of(home, everything).codes
    assert codes is not None
    assert codes.tolist() == list(range(15_625))
    darts = space("darts")
    assert Batch.of(darts, [zoo()["VGG"]]).codes is None


def test_foreign_architectures_and_shapes_are_refused() -> None:
    home, architectures = drawn("nasbench201", 2)
    foreign = Architecture(architectures[0].cells, ("sep_conv_3x3",) * 6)
    with pytest.raises(ValueError, match="slot 0: 'sep_conv_3x3' is not a primitive of space 'nasbench201'"):
        Batch.of(home, [foreign])
    batch = Batch.of(home, architectures)
    with pytest.raises(ValueError, match=r"expected actions of shape \(2, 6\)"):
        transition(batch, np.zeros(6, dtype=int), batch.masks())


def test_equal_cells_hash_equally() -> None:
    first, second = (Cell("cell", 1, ((0, 1), (1, 2)), (2,)) for _ in range(2))
    assert hash(first) == hash(second)
    assert len({first, second, Cell("cell", 1, ((0, 1), (1, 2)), (2,), reduction=True)}) == 2
