"""Architectures as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from natrl.core.architecture import Architecture, Cell, wiring
from natrl.core.genotypes import nasbench201_architecture, parse, zoo
from natrl.core.operations import VOCABULARY
from natrl.spaces import encode, FEATURES, space, wiring_of


@pytest.mark.parametrize("name", ["darts", "enas", "nao", "nasbench201"])
def test_shapes_types_and_ranges(name: str) -> None:
    home, rng = space(name), np.random.default_rng(0)
    observation = encode([home.sample(rng) for _ in range(5)])
    slots, features = home.n_slots, len(FEATURES)
    assert {key: (a.shape, a.dtype.name) for key, a in observation.items()} == {
        "ops": ((5, slots), "int64"),
        "adjacency": ((5, slots, slots), "int8"),
        "features": ((5, slots, features), "float32"),
    }
    assert 0 <= observation["ops"].min() <= observation["ops"].max() < len(VOCABULARY)
    assert set(np.unique(observation["adjacency"])) <= {0, 1}
    assert 0 <= observation["features"].min() <= observation["features"].max() <= 1


@pytest.mark.parametrize("name", ["darts", "enas", "nao", "nasbench201"])
def test_the_wiring_can_be_read_back(name: str) -> None:
    home, rng = space(name), np.random.default_rng(0)
    architectures = [home.sample(rng) for _ in range(5)]
    observation = encode(architectures)
    read = wiring_of(observation["adjacency"], observation["features"])
    for b, architecture in enumerate(architectures):
        expected = wiring(architecture.cells)
        for field in ("entries", "exits", "adjacency"):
            got = getattr(read, field)
            assert got.dtype == np.bool_
            assert (got[b] == getattr(expected, field)[0]).all()
        n = len(architecture.cells)
        assert (read.cells[b, :, :n] == expected.cells[0]).all()
        assert not read.cells[b, :, n:].any()


def test_vgg_by_hand() -> None:
    observation = encode([zoo()["VGG"]])
    names = list(VOCABULARY)
    assert [names[i] for i in observation["ops"][0]] == list(zoo()["VGG"].operations)
    features = {name: observation["features"][0, :, i] for i, name in enumerate(FEATURES)}
    # Slots of each cell: 0>2 1>2 0>3 2>3 0>4 3>4 0>5 4>5 | concat 5
    assert features["entry"].tolist() == [1, 1, 1, 0, 1, 0, 1, 0] * 2
    assert features["exit"].tolist() == [0, 0, 0, 0, 0, 0, 1, 1] * 2
    assert features["cell_0"].tolist() == [1] * 8 + [0] * 8
    assert features["cell_1"].tolist() == [0] * 8 + [1] * 8
    assert features["stride_2"].tolist() == [0] * 8 + [1, 1, 1, 0, 1, 0, 1, 0]
    assert features["reduction"].tolist() == [0] * 8 + [1] * 8
    assert features["source_3"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0] * 2
    assert features["target_4"].tolist() == [0, 0, 0, 0, 1, 1, 0, 0] * 2
    assert features["source_depth"].tolist() == pytest.approx([0, 0.2, 0, 0.4, 0, 0.6, 0, 0.8] * 2)
    assert features["target_depth"].tolist() == pytest.approx([0.4, 0.4, 0.6, 0.6, 0.8, 0.8, 1, 1] * 2)
    edges = {(int(i), int(j)) for i, j in np.argwhere(observation["adjacency"][0])}
    assert edges == {(i + c, j + c) for c in (0, 8) for i, j in [(0, 3), (1, 3), (2, 5), (3, 5), (4, 7), (5, 7)]}


def test_position_alone_tells_the_slots_of_nasbench201_apart() -> None:
    features = encode([nasbench201_architecture("000000")])["features"][0]
    assert len({tuple(row) for row in features.tolist()}) == 6


def test_nodes_beyond_the_last_position_share_it() -> None:
    chain = " ".join(f"null:{i}>{i + 1}" for i in range(1, 12))
    features = encode([parse(f"normal: {chain} | concat 12")])["features"][0]
    assert features[:, FEATURES.index("target_7")].tolist() == [0] * 5 + [1] * 6


def test_encodings_are_the_callers_own_and_do_not_spoil_later_ones() -> None:
    vgg = zoo()["VGG"]
    first = encode([vgg])
    first["features"][:] = 9
    first["adjacency"][:] = 9
    assert encode([vgg])["features"].max() <= 1
    assert encode([vgg])["adjacency"].max() <= 1


def test_the_wiring_of_a_topology_is_read_only() -> None:
    for array in wiring(zoo()["VGG"].cells):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = False


def test_too_many_kinds_of_cell_are_refused() -> None:
    cells = tuple(Cell(f"cell{i}", 1, ((0, 1),), (1,)) for i in range(5))
    with pytest.raises(ValueError, match="at most 4 kinds of cell can be encoded, got 5"):
        encode([Architecture(cells, ("null",) * 5)])
