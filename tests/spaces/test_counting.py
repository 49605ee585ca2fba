"""What whole networks cost: the figures of the papers, of DARTS' public code and of NAS-Bench-201."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

import natrl
from natrl.core.architecture import Architecture
from natrl.core.genotypes import nasbench201_architecture, parse, zoo
from natrl.core.operation_costs import network_operation_cost
from natrl.core.operations import Cost
from natrl.spaces import live_cost, network_cost, Skeleton, space

# C = 36, 20 cells, 32×32×3, 10 classes, no auxiliary head: parameters and MAdds of the convolutions.
CIFAR = {
    "DARTS": (3_349_342, 528_353_280),
    "NAT_DARTS": (2_682_334, 424_175_616),
    "NATv2_DARTS": (2_476_054, 394_149_888),
    "ENAS": (3_859_894, 605_712_384),
    "NATv2_ENAS": (3_691_414, 580_829_184),
    "VGG": (3_797_974, 548_425_728),
    "NAT_VGG": (3_850_678, 553_734_144),
    "NATv2_VGG": (2_587_078, 378_058_752),
    "ResBlock": (3_797_974, 548_425_728),
    "NAT_ResBlock": (3_850_678, 553_734_144),
    "NATv2_ResBlock": (3_699_910, 538_306_560),
    "Mobilenetv2": (1_160_614, 181_647_360),
    "NATv2_MobileNetv2": (1_186_966, 184_301_568),
}


@pytest.mark.parametrize("name", CIFAR)
def test_costs_on_the_cifar_skeleton(name: str) -> None:
    architecture = zoo()[name]
    params, convolution_madds = CIFAR[name]
    classifier = 4 * 36 * len(architecture.cells[0].outputs) * 10  # the last cell is a normal one, at 4 C channels
    assert network_cost(architecture, Skeleton()) == Cost(params, convolution_madds + classifier)
    assert network_cost(architecture) == network_cost(architecture, Skeleton())


def test_darts_on_imagenet() -> None:
    """4.718752 M parameters is what DARTS' public code prints; the MAdds were counted on a plain torch network."""
    skeleton = Skeleton(channels=48, cells=14, image_size=224, num_classes=1000, stem="imagenet")
    cost = network_cost(zoo()["DARTS"], skeleton)
    assert cost.params == 4_718_752
    assert cost.madds == 529_911_552


def test_a_network_by_hand() -> None:
    """Three cells of 4 channels on 8×8 grey images with 2 classes: cell 0 normal, cells 1 and 2 reductions."""
    normal_cell, reduce_cell = "conv_3x3:0>2 null:1>2 | concat 2", "conv_1x1:1>2 sep_conv_3x3:2>3 | concat 2 3"
    architecture = parse(f"normal: {normal_cell} ; reduce: {reduce_cell}")
    stem = Cost(9 * 12 + 2 * 12, 9 * 12 * 64)
    normal = Cost(2 * (12 * 4 + 8), 2 * 12 * 4 * 64) + Cost(4 * 4 * 9 + 8, 4 * 4 * 9 * 64)
    # 8 channels: inputs with 12 and 4 channels; 1×1 with stride 2 on 8×8; sep 3×3 inside, on 4×4.
    first = Cost(12 * 8 + 16 + 4 * 8 + 16, (12 * 8 + 4 * 8) * 64)
    first += Cost(64 + 16, 64 * 16) + Cost(2 * (72 + 64 + 16), 2 * (72 + 64) * 16)
    # 16 channels: inputs with 4 channels (8×8, halved) and 16 (4×4); output 2×2.
    second = Cost(4 * 16 + 32 + 16 * 16 + 32, (4 * 16 + 16 * 16) * 16)
    second += Cost(256 + 32, 256 * 4) + Cost(2 * (144 + 256 + 32), 2 * (144 + 256) * 4)
    classifier = Cost(32 * 2 + 2, 32 * 2)
    skeleton = Skeleton(channels=4, cells=3, image_size=8, image_channels=1, num_classes=2)
    assert network_cost(architecture, skeleton) == Cost.total([stem, normal, first, second, classifier])


def test_every_network_of_nasbench201(natrl_data: Path) -> None:
    """15,625 published sizes. Their multiply-adds count the classifier's bias too. 0.5 s."""
    with gzip.open(natrl_data / "nasbench201.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15_625
    cifar = space("nasbench201").skeleton
    imagenet = Skeleton(channels=16, cells=15, image_size=16, num_classes=120)
    for row in rows:
        architecture = nasbench201_architecture(row["ops"])
        cost = network_cost(architecture, cifar)
        assert cost.params == round(float(row["params_M_cifar10"]) * 1e6)
        assert cost.madds + 10 == round(float(row["flops_M_cifar10"]) * 1e6)
        assert network_cost(architecture, imagenet).madds + 120 == round(float(row["flops_M_imagenet16"]) * 1e6)
    for row in rows[::500]:
        assert parse(row["arch"]) == nasbench201_architecture(row["ops"])


# Live cost.


@pytest.mark.parametrize("name", ["darts", "enas", "nasbench201"])
def test_live_cost_is_at_most_the_cost_and_equal_without_dead_parts(name: str) -> None:
    home = space(name)
    rng = np.random.default_rng(0)
    equal = 0
    for _ in range(50):
        architecture = home.sample(rng)
        live, cost = live_cost(architecture, home.skeleton), home.cost(architecture)
        assert live <= cost
        if all(architecture.live_slots) and reads_every_input(architecture):
            assert live == cost
            equal += 1
    assert equal


def reads_every_input(architecture: Architecture) -> bool:
    return all(set(range(cell.inputs)) <= {source for source, _ in cell.edges} for cell in architecture.cells)


@pytest.mark.parametrize("name", ["DARTS", "ENAS"])
def test_live_cost_of_searched_cells_is_their_cost(name: str) -> None:
    assert live_cost(zoo()[name]) == network_cost(zoo()[name])


def test_live_cost_leaves_out_dead_slots_and_the_preprocessing_of_unused_inputs() -> None:
    """In VGG no live slot reads input 0, so no cell preprocesses it."""
    vgg = zoo()["VGG"]
    skeleton = Skeleton(channels=4, cells=1, image_size=8)  # the one cell is a reduction, at 8 channels
    unused = Cost(12 * 8 + 16, 12 * 8 * 64)
    assert live_cost(vgg, skeleton) + unused == network_cost(vgg, skeleton)


def test_live_cost_leaves_out_an_operation_that_nothing_reads() -> None:
    cell = nasbench201_architecture("300100")  # nor_conv_3x3:0>1, whose node 1 is not read, and skip_connect:0>3
    skeleton = Skeleton(channels=16, cells=1)
    dead = network_operation_cost("conv_3x3", 16, 32, 32)
    assert live_cost(cell, skeleton) + dead == network_cost(cell, skeleton)


def test_live_cost_leaves_out_whole_cells_that_nothing_reads() -> None:
    """Cells that read only the input before the last skip every second cell."""
    architecture = parse("normal: conv_3x3:0>2 | concat 2 ; reduce: conv_3x3:0>2 | concat 2")
    skeleton = Skeleton(channels=4, cells=6, image_size=8)
    reads_all = parse("normal: conv_3x3:1>2 | concat 2 ; reduce: conv_3x3:1>2 | concat 2")
    assert live_cost(architecture, skeleton).madds < live_cost(reads_all, skeleton).madds * 2 / 3


# Skeletons.


def test_reductions_stand_at_one_and_two_thirds() -> None:
    assert Skeleton(cells=20).reductions == (6, 13)
    assert Skeleton(cells=8).reductions == (2, 5)
    assert Skeleton(cells=1).reductions == (0,)
    assert Skeleton(channels=16, cells=8).widths == (16, 32, 64)


def test_a_plan_says_what_flows_where() -> None:
    blocks = Skeleton(channels=4, cells=4, image_size=9).plan(zoo()["DARTS"])
    assert [block.cell for block in blocks] == [0, 1, 1, 0]
    assert [block.channels for block in blocks] == [4, 8, 16, 16]
    assert [block.in_channels for block in blocks] == [(12, 12), (12, 16), (16, 32), (32, 64)]
    assert [block.halve for block in blocks] == [(False, False), (False, False), (True, False), (True, False)]
    assert [block.size for block in blocks] == [9, 9, 5, 3]
    assert [block.out_channels for block in blocks] == [16, 32, 64, 64]


def test_one_input_cells_are_stacked_as_in_nasbench201() -> None:
    blocks = Skeleton(channels=16, cells=15).plan(nasbench201_architecture("000000"))
    assert [block.cell for block in blocks] == [0] * 5 + [None] + [0] * 5 + [None] + [0] * 5
    assert [block.channels for block in blocks] == [16] * 5 + [32] * 6 + [64] * 6
    assert [blocks[5].size, blocks[6].size, blocks[-1].size] == [32, 16, 8]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"channels": 0}, "skeleton: channels must be a whole number of at least 1, got 0"),
        ({"cells": 2.5}, "skeleton: cells must be a whole number of at least 1, got 2.5"),
        ({"image_size": -1}, "skeleton: image_size must be"),
        ({"num_classes": "10"}, "skeleton: num_classes must be .* got '10'"),
        ({"stem": "mnist"}, "skeleton: unknown stem 'mnist'; known: cifar, imagenet"),
    ],
)
def test_impossible_skeletons_are_refused(fields: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        natrl.Skeleton(**fields)


def test_cells_that_cannot_be_stacked_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stacks a normal and a reduce cell .*; got cells only with 2 inputs"):
        network_cost(parse("only: null:0>2 | concat 2"))
    with pytest.raises(ValueError, match="imagenet stem needs cells with two inputs"):
        network_cost(nasbench201_architecture("000000"), Skeleton(stem="imagenet"))
    with pytest.raises(ValueError, match="one-input cells need exactly one output node"):
        network_cost(parse("cell/1: null:0>1 null:0>2 | concat 1 2"))
