"""The supernet against plain networks that carry its weights, what it runs, and what it shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from natrl import Architecture, parse, Skeleton, Space, zoo
from natrl import space as find_space
from natrl.networks import CellSupernet, extract_network
from natrl.spaces import CellSpace, live_cost, SPACES
from natrl.spaces.live import live_blocks, slot_positions

SMALL = Skeleton(channels=4, cells=3, image_size=8, image_channels=1)
CHAINS = ("VGG", "ResBlock", "Mobilenetv2", "DARTS", "NAT_VGG", "NATv2_ResBlock", "NAT_MobileNetv2")


def make_supernet(space: str | Space, skeleton: Skeleton = SMALL, *, biases: bool = True) -> CellSupernet:
    """With random batch-norms: scales of 1 and biases of 0 would hide mistakes."""
    torch.manual_seed(0)
    supernet = CellSupernet(find_space(space), skeleton)
    with torch.no_grad():
        for name, weight in supernet.named_parameters():
            if "scale" in name:
                weight.uniform_(0.5, 1.5)
            elif "bias" in name and biases:
                weight.normal_()
    return supernet


def make_images(skeleton: Skeleton, n: int = 16) -> torch.Tensor:
    torch.manual_seed(1)
    images = torch.randn(n, skeleton.image_channels, skeleton.image_size, skeleton.image_size)
    return images.contiguous(memory_format=torch.channels_last)


def assert_same_logits(supernet: CellSupernet, architecture: Architecture, images: torch.Tensor) -> None:
    plain = extract_network(supernet, architecture).train()(images)
    torch.testing.assert_close(supernet(images, architecture), plain, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(supernet(images, architecture), plain.detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CHAINS)
def test_named_architectures(name: str):
    assert_same_logits(make_supernet("darts"), zoo()[name], make_images(SMALL))


@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("cells", [1, 3, 5])
def test_random_architectures(name: str, cells: int):
    """Of every space, chains among them. Biases are zero: slots that no input reaches run in the plain network only."""
    skeleton = Skeleton(channels=3, cells=cells, image_size=9, image_channels=3, num_classes=4)
    supernet, images = make_supernet(name, skeleton, biases=False), make_images(skeleton)
    rng = np.random.default_rng(cells)
    for _ in range(4):
        assert_same_logits(supernet, find_space(name).sample(rng), images)


@pytest.mark.parametrize("name", ["ENAS", "NAONet", "NATv2_NAONet"])
def test_architectures_of_five_nodes(name: str):
    assert_same_logits(make_supernet("nao"), zoo()[name], make_images(SMALL))


def test_imagenet_stem():
    skeleton = Skeleton(channels=4, cells=3, image_size=40, stem="imagenet")
    assert_same_logits(make_supernet("darts", skeleton), zoo()["DARTS"], make_images(skeleton))


def test_any_concat():
    """Output nodes in any number and order, nodes that only nulls write among them."""
    slots = "conv_3x3:0>2 null:1>2 skip_connect:1>3 null:2>3 null:0>4 null:1>4 conv_1x1:2>5 skip_connect:3>5"
    supernet, images = make_supernet("darts"), make_images(SMALL)
    for concat in ("2 3 4 5", "5", "5 2", "4 3", "3 5"):
        text = f"normal: {slots} | concat {concat} ; reduce: {slots} | concat 2 5"
        assert_same_logits(supernet, parse(text), images)


def test_dead_architectures_have_logits():
    dead = parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert_same_logits(make_supernet("nasbench201", biases=False), dead, make_images(SMALL))
    text = "normal: {} ; reduce: conv_3x3:0>2 conv_3x3:1>2 null:0>3 null:1>3 null:0>4 null:1>4 null:0>5 null:1>5"
    empty = " ".join(f"null:{source}>{target}" for target in (2, 3, 4, 5) for source in (0, 1))
    dead_normal = parse(text.format(f"{empty} | concat 2 3 4 5") + " | concat 2 3 4 5")
    assert_same_logits(make_supernet("darts"), dead_normal, make_images(SMALL))


def test_equal_keys_give_equal_logits():
    """The order in which slots are listed does not matter, nor that of the output nodes."""
    supernet, images = make_supernet("darts"), make_images(SMALL)
    darts = zoo()["DARTS"]
    reordered = parse(darts.key)
    assert reordered.operations != darts.operations
    torch.testing.assert_close(supernet(images, reordered), supernet(images, darts))


def test_slot_positions():
    cell = parse(
        "normal: a:1>2 b:0>2 c:2>3 d:2>3".replace("a", "null")
        .replace("b", "skip_connect")
        .replace("c:", "max_pool_3x3:")
        .replace("d:", "conv_1x1:")
        + " | concat 3 ; reduce: null:0>2 | concat 2"
    ).cells[0]
    assert slot_positions(cell, ("null", "skip_connect", "max_pool_3x3", "conv_1x1")) == (1, 0, 3, 2)


@pytest.mark.parametrize("name", ["VGG", "ResBlock", "Mobilenetv2", "NAT_DARTS"])
def test_dead_parts_do_not_run(name: str):
    skeleton = Skeleton(channels=4, cells=5, image_size=8)
    supernet = make_supernet("darts", skeleton)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        supernet(make_images(skeleton, 1), zoo()[name])
    assert counter.get_total_flops() == 2 * live_cost(zoo()[name], skeleton).madds


def test_cells_nobody_needs_do_not_run():
    """Every cell reads the last but one only."""
    slots = "conv_3x3:0>2 null:1>2 null:0>3 null:1>3 null:0>4 null:1>4 null:0>5 null:1>5 | concat 2 3 4 5"
    blocks = live_blocks(parse(f"normal: {slots} ; reduce: {slots}"), Skeleton(4, 5, 8))
    assert [block is not None for block in blocks] == [True, False, True, False, True]


def test_kernels_are_shared_within_a_type_only():
    supernet, images = make_supernet("darts"), make_images(SMALL)
    darts = zoo()["DARTS"]  # slot 0: sep_conv_3x3
    nn.functional.cross_entropy(supernet(images, darts), torch.zeros(16, dtype=torch.long)).backward()
    slot = supernet.blocks[0].slots[0]
    depthwise = slot.weights["sep_conv_0_0"].grad
    assert depthwise.shape[-2:] == (5, 5)
    inside = torch.zeros(5, 5, dtype=torch.bool)
    inside[1:4, 1:4] = True
    assert depthwise[..., inside].any()
    assert not depthwise[..., ~inside].any()
    used = {name for name, weight in slot.named_parameters() if weight.grad is not None}
    assert used == {
        *(f"weights.sep_conv_{stage}_{convolution}" for stage in (0, 1) for convolution in (0, 1)),
        *(f"norms.sep_conv_3x3_{stage}_{part}" for stage in (0, 1) for part in ("scale", "bias")),
    }


def test_evaluation_changes_nothing_and_the_stem_is_shared():
    supernet, images = make_supernet("darts"), make_images(SMALL)
    before = {name: weight.clone() for name, weight in supernet.state_dict().items()}
    with torch.inference_mode():
        embedded = supernet.embed(images)
        for name in ("VGG", "DARTS", "ResBlock", "VGG"):
            assert torch.equal(supernet.classify(embedded, zoo()[name]), supernet(images, zoo()[name]))
        with FlopCounterMode(display=False) as counter:
            supernet.classify(embedded, zoo()["VGG"])
    assert counter.get_total_flops() < 16 * 2 * live_cost(zoo()["VGG"], SMALL).madds
    assert all(torch.equal(before[name], weight) for name, weight in supernet.state_dict().items())


def test_a_space_of_ones_own():
    """Cells whose size varies from sample to sample get weights for the largest; others are refused in one line."""

    class Varied(CellSpace):
        def sample(self, rng: np.random.Generator) -> Architecture:
            nodes = "conv_3x3:0>2 conv_3x3:1>2" + (" skip_connect:2>3 skip_connect:0>3" if rng.random() < 0.5 else "")
            return parse(f"normal: {nodes} | concat 2 ; reduce: {nodes} | concat 2")

    supernet = CellSupernet(Varied("varied", nodes=2), SMALL)
    assert [(shape.slots, shape.nodes) for shape in supernet.shapes] == [(4, 2), (4, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ENAS", "space 'darts' has 16 slots, this architecture has 20"),
        (
            zoo()["DARTS"].key.replace("sep_conv_3x3", "conv_7x7"),
            "slot 0: 'conv_7x7' is not a primitive of space 'darts'",
        ),
        (
            f"normal: {' '.join(f'conv_3x3:{i}>{i + 2}' for i in range(8))} | concat 9 ; "
            f"reduce: {' '.join(f'conv_3x3:{i}>{i + 2}' for i in range(8))} | concat 9",
            "cell 'normal': the supernet of space 'darts' has weights for 8 slots and 4 nodes, not for 8 and 8",
        ),
    ],
)
def test_foreign_architectures(text: str, message: str):
    supernet = make_supernet("darts")
    with pytest.raises(ValueError, match=message):
        supernet(make_images(SMALL), parse(text))
    with pytest.raises(ValueError, match=message):
        extract_network(supernet, parse(text))
