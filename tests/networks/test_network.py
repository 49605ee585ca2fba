"""Plain networks: counts against the papers' table and against torch's own counter, and how they behave in training."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from natrl import network_cost, parse, Skeleton, zoo
from natrl import space as find_space
from natrl.networks import build_network, Network
from natrl.networks.blocks import AuxiliaryHead, CellModule, drop_path
from natrl.spaces import SPACES

#: facts.md: parameters and convolution MAdds (without the classifier) at C = 36, 20 cells, 32×32×3, 10 classes.
PUBLISHED = {
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
SMALL = Skeleton(channels=4, cells=3, image_size=8, image_channels=1)


def counted(network: Network, skeleton: Skeleton) -> tuple[int, int]:
    """Parameters without the auxiliary head, and the MAdds of one image as torch counts them."""
    images = torch.zeros(1, skeleton.image_channels, skeleton.image_size, skeleton.image_size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(images)
    params = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("auxiliary"))
    return params, counter.get_total_flops() // 2


@pytest.mark.parametrize("name", zoo())
def test_published_counts(name: str):
    """The whole zoo at full size."""
    network = build_network(zoo()[name], Skeleton(), auxiliary=True)
    params, madds = counted(network, Skeleton())
    cost = network_cost(zoo()[name], Skeleton())
    assert (params, madds) == (cost.params, cost.madds)
    if name in PUBLISHED:
        assert (params, madds - network.classifier.weight.numel()) == PUBLISHED[name]


@pytest.mark.parametrize(("name", "cells"), list(product(SPACES.names(), (1, 2, 3, 5))))
def test_random_architectures_cost_what_is_counted(name: str, cells: int):
    rng = np.random.default_rng(cells)
    for size in (8, 11, 28):
        skeleton = Skeleton(int(rng.integers(1, 8)), cells, size, image_channels=int(rng.integers(1, 4)))
        architecture = find_space(name).sample(rng)
        cost = network_cost(architecture, skeleton)
        assert counted(build_network(architecture, skeleton), skeleton) == (cost.params, cost.madds)


def test_imagenet_stem():
    for size in (32, 50):
        skeleton = Skeleton(6, 3, size, stem="imagenet")
        cost = network_cost(zoo()["DARTS"], skeleton)
        assert counted(build_network(zoo()["DARTS"], skeleton), skeleton) == (cost.params, cost.madds)


@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize(("cells", "size"), [(1, 8), (3, 8), (3, 9), (5, 32)])
def test_auxiliary_head(name: str, cells: int, size: int):
    skeleton = Skeleton(2, cells, size, num_classes=7)
    network = build_network(find_space(name).sample(np.random.default_rng(0)), skeleton, auxiliary=True)
    images = torch.randn(3, 3, size, size)
    logits, auxiliary = network(images)
    assert logits.shape == auxiliary.shape == (3, 7)
    auxiliary.sum().backward()
    assert network.auxiliary.classifier.weight.grad.any()
    assert network.eval()(images).shape == (3, 7)


def test_auxiliary_head_is_that_of_darts():
    """At 8×8 (CIFAR-10) and 7×7 (ImageNet): 5×5 pooling to 2×2 positions."""
    for size, stride in ((8, 3), (7, 2)):
        pooling = AuxiliaryHead(4, size, 10).features[1]
        assert (pooling.kernel_size, pooling.stride) == (5, stride)
    network = build_network(zoo()["DARTS"], Skeleton(2, 20), auxiliary=True)
    assert network.auxiliary_after == 13


def test_drop_path_drops_whole_samples():
    torch.manual_seed(0)
    out = drop_path(torch.ones(2000, 2, 3, 3), 0.25)
    kept = out[:, 0, 0, 0] > 0
    assert torch.equal(out, kept[:, None, None, None] * torch.full_like(out, 4 / 3))
    assert 0.72 < kept.float().mean() < 0.78


def test_drop_path_spares_skips_and_evaluation():
    architecture = parse("normal: skip_connect:0>2 skip_connect:1>3 | concat 2 3 ; reduce: conv_3x3:0>2 | concat 2")
    network = build_network(architecture, SMALL, drop_path=0.9)
    normal, reduce = network.blocks[0], network.blocks[1]
    x = torch.randn(64, 12, 8, 8)
    assert torch.equal(normal((x, x), 0.9), normal((x, x), 0.0))
    y = torch.randn(64, 8, 8, 8)
    dropped = (reduce((x, y), 0.9) == 0).flatten(1).all(1)
    assert 40 <= dropped.sum() < 64
    images = torch.randn(64, 1, 8, 8)
    network.eval()
    assert torch.equal(network(images), network(images))
    network.train()
    network.drop_path = 0.0  # what a training loop does from epoch to epoch
    assert torch.equal(network(images), network(images))


def test_what_nothing_writes_is_zero():
    dead = parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    network = build_network(dead, SMALL).eval()
    out = network(torch.randn(3, 1, 8, 8))
    torch.testing.assert_close(out, network.classifier.bias.expand(3, 10))


def test_one_cell_by_hand():
    """Node 2 = skip + pooling, node 3 reads node 2; the output holds nodes 3 and 2 in the order of the concat."""
    text = "normal: skip_connect:0>2 max_pool_3x3:1>2 avg_pool_3x3:2>3 null:0>3 | concat 3 2"
    architecture = parse(f"{text} ; reduce: skip_connect:0>2 | concat 2")
    block = build_network(architecture, SMALL).blocks[0]
    assert isinstance(block, CellModule)
    block.preprocessing = nn.ModuleList([nn.Identity(), nn.Identity()])
    a, b = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6, 6)
    second = a + nn.functional.max_pool2d(b, 3, 1, 1)
    third = nn.functional.avg_pool2d(second, 3, 1, 1, count_include_pad=False)
    assert torch.equal(block((a, b)), torch.cat([third, second], 1))


@pytest.mark.parametrize("name", ["DARTS", "ENAS"])
def test_gradients_reach_every_parameter(name: str):
    network = build_network(zoo()[name], SMALL)
    nn.functional.cross_entropy(network(torch.randn(16, 1, 8, 8)), torch.arange(16) % 10).backward()
    missing = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    unread = [key for key in missing if not key.startswith("blocks.2.")]  # ReLU may close all of a 2×2 map
    assert not unread


def test_one_channel_images_run_channels_last():
    network = build_network(zoo()["VGG"], SMALL)
    first, _ = network.stem(torch.randn(2, 1, 8, 8))
    assert first.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("DARTS", {"drop_path": 1.0}, r"drop_path must be in \[0, 1\), got 1.0"),
        ("DARTS", {"drop_path": -0.1}, r"drop_path must be in \[0, 1\), got -0.1"),
        ("cell/1: skip_connect:0>1 skip_connect:0>2 | concat 1 2", {}, "exactly one output node"),
    ],
)
def test_bad_input(text: str, options: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        build_network(parse(text), SMALL, **options)
    bad = parse("DARTS").with_operations(["conv_9x9"] * 16)
    with pytest.raises(ValueError, match=r"cell 'normal', slot 0 \(conv_9x9:0>2\): unknown operation"):
        build_network(bad, SMALL)
