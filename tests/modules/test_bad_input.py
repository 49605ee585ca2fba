"""What cannot be imported: one line with the reason and what would work; and what can be though it looks odd."""

from __future__ import annotations

import weakref

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import natrl
from tests.modules.networks import conv, Residual, TwoInputs

IMAGE = torch.zeros(1, 3, 16, 16)


class Locked(nn.Module):
    """Holds what cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3, 4)
        self.found = self.conv.weight * 2

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.conv(x)


class Lost(nn.Module):
    """Leaves torch on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3, 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return torch.from_numpy(self.conv(x).numpy() + 1)


class Block(nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]
        raise KeyError("no such thing")


class KeywordOnly(Residual):
    def forward(self, *, image):  # type: ignore[no-untyped-def]
        return super().forward(image)


class Images(Residual):
    def forward(self, images):  # type: ignore[no-untyped-def]
        return [super().forward(image[None]) for image in images]


class Private(Residual):
    """Runs, but not while anything looks on."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        if self._forward_hooks:
            raise RuntimeError("no hooks here")
        return super().forward(x)


class AnyKeywords(Residual):
    def forward(self, **images):  # type: ignore[no-untyped-def]
        return super().forward(images["image"])


class NotYet(nn.Module):
    """Without super().__init__()."""

    def __init__(self) -> None:
        pass


class Backwards(Residual):
    """Refers to a part weakly."""

    def __init__(self) -> None:
        super().__init__()
        self.first = weakref.proxy(self.stem)


class Tries(nn.Module):
    """Goes on where a layer fails."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong, self.conv1, self.conv2 = conv(5, 4), conv(3, 4), conv(4, 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        try:
            x = self.wrong(x)
        except RuntimeError:
            x = self.conv1(x)
        return self.conv2(x)


CASES = {
    "no module": (lambda: "resnet18", IMAGE, "expected a torch.nn.Module, got str"),
    "no tensor": (Residual, [[0.0]], r"example_input must be a tensor such as torch.zeros\(1, 3, 224, 224\).*got list"),
    "nothing": (Residual, torch.zeros(0, 3, 8, 8), r"a batch of images, got a tensor of shape \(0, 3, 8, 8\)"),
    "one of two inputs": (
        TwoInputs,
        IMAGE,
        r"takes 2 inputs \(image, depth\), the example has 1: .* a tuple",
    ),
    "keywords": (KeywordOnly, IMAGE, "KeywordOnly takes image by keyword alone; natrl gives tensors, in their order"),
    "any keywords": (AnyKeywords, IMAGE, "AnyKeywords takes its inputs by keyword alone; natrl gives tensors"),
    "not yet": (NotYet, IMAGE, r"NotYet is no network yet: its __init__ does not call super\(\).__init__\(\)"),
    "weak": (Backwards, IMAGE, "the model refers weakly to its 'first', which no copy does: give it the layer"),
    "a dict": (
        KeywordOnly,
        {"image": IMAGE},
        "a tuple of the inputs, got dict; natrl gives tensors, in their",
    ),
    "images": (
        Images,
        [IMAGE[0], IMAGE[0]],
        "takes 1 inputs .*, the example has 2: .*a network of lists",
    ),
    "a list": (Images, ([IMAGE[0]],), "a tuple of the inputs, got list; natrl gives tensors, in their"),
    "failing part": (
        lambda: nn.Sequential(conv(3, 4), nn.Sequential(Block())),
        IMAGE,
        r"KeyError: 'no such thing', in layer '1.0' \(tests.modules.test_bad_input.Block\)",
    ),
    "failing layer": (
        lambda: nn.Sequential(conv(3, 4), nn.Linear(5, 6)),
        IMAGE,
        r", in layer '1' \(Linear\)",
    ),
    "no hooks": (Private, IMAGE, "Private runs, but natrl cannot follow it: RuntimeError: no hooks here"),
    "two of one input": (Residual, (IMAGE, IMAGE), r"Residual takes 1 inputs \(x\), the example has 2"),
    "wrong channels": (
        Residual,
        torch.zeros(1, 1, 16, 16),
        r"\(1, 1, 16, 16\): RuntimeError: .*3 channels, but got 1",
    ),
    "too small": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 9)),
        torch.zeros(1, 3, 8, 8),
        r"Sequential does not run on an example input of shape \(1, 3, 8, 8\): .*; give a batch as the model takes it",
    ),
    "lazy": (
        lambda: nn.Sequential(nn.LazyConv2d(4, 3)),
        IMAGE,
        r"layer '0' is built lazily and has no weights yet: run model\(example_input\) once before",
    ),
    "not to be copied": (Locked, IMAGE, r"Locked cannot be copied \(RuntimeError: .*\): .*take out"),
    "no convolution": (
        lambda: nn.Flatten(),
        IMAGE,
        "Flatten has nothing to replace: it has no convolution, no linear layer and no",
    ),
    "only adaptive poolings": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.AdaptiveAvgPool2d(2)),
        IMAGE,
        "Sequential has nothing to replace: 2 layers stay, 2 because its type is AdaptiveAvgPool2d",
    ),
    "one layer": (lambda: conv(3, 4), IMAGE, "Conv2d has nothing to replace: 1 .* 1 because it is the model itself"),
    "left torch": (Lost, IMAGE, "Lost cannot be followed: its output does not come from its input by operations on"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_says_what_is_wrong(case):
    make, example, message = CASES[case]
    with pytest.raises(ValueError, match=message) as raised:
        natrl.from_module(make(), example)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:FutureWarning")
def test_compiled_models_name_what_would_work():
    compiled = nn.Module()
    compiled._orig_mod = Residual()  # as torch.compile wraps a model; loading the compiler would take seconds
    with pytest.raises(ValueError, match=r"the model comes from torch\.compile: give the module"):
        natrl.from_module(compiled, IMAGE)
    with pytest.raises(ValueError, match=r"give the nn\.Module that it was made from"):
        natrl.from_module(torch.jit.trace(conv(3, 4), IMAGE), IMAGE)
    with pytest.raises(ValueError, match=r"layer '1' was compiled by torch\.jit .*: give the nn\.Module"):
        natrl.from_module(nn.Sequential(conv(3, 4), torch.jit.trace(conv(4, 4), torch.zeros(1, 4, 8, 8))), IMAGE)


@pytest.mark.filterwarnings(
    "ignore:torch.quantize_per_tensor:UserWarning", "ignore:torch.ao.quantization:DeprecationWarning"
)
def test_quantised_layers_are_named_as_such():
    quantised = torch.ao.nn.quantized
    scale, zero = torch.tensor([0.1]), torch.tensor([0])
    model = nn.Sequential(quantised.Quantize(scale, zero, torch.quint8), quantised.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match=r"its type is torch\.ao\.nn\.quantized.*Conv2d, and only torch's own convol"):
        natrl.from_module(model, IMAGE)


def test_a_layer_that_fails_and_is_done_without_leaves_no_trace(caplog):  # type: ignore[no-untyped-def]
    space = natrl.from_module(Tries(), IMAGE)
    assert [slot.name for slot in space.slots] == ["conv1", "conv2"]
    assert space.slot("conv2").before == ("conv1",)
    assert not caplog.records  # torch logs what fails without data


def test_a_network_spread_over_machines_is_given_by_what_it_wraps():
    spread = DistributedDataParallel.__new__(DistributedDataParallel)  # without machines
    with pytest.raises(ValueError, match=r"wrapped in DistributedDataParallel: give what it wraps \(\.module\)"):
        natrl.from_module(spread, IMAGE)


def test_convnext_has_something_to_replace():
    """Its dense convolutions have kernels 4×4 and 2×2, the others are depthwise of 7×7. Half a second.

    A layer scale and a permutation stand between a block's last layer and the addition: they keep zeros.
    """
    model = torchvision.models.convnext.ConvNeXt(
        [torchvision.models.convnext.CNBlockConfig(16, 32, 1), torchvision.models.convnext.CNBlockConfig(32, None, 1)]
    )
    space = natrl.from_module(model, torch.zeros(1, 3, 32, 32))
    assert [slot.layer for slot in space.slots] == [
        "conv_4x4",
        "conv_7x7 in 16 groups",
        *("linear", "linear"),
        "conv_2x2",
        "conv_7x7 in 32 groups",
        *("linear", "linear", "linear"),
    ]
    assert space.reason("features.1.0.block.5", "null") is None
    dropped = space.operations(space.prune(space.with_operations({"features.1.0.block.5": "null"})))
    assert {name for name, op in dropped.items() if op == "null"} == {f"features.1.0.block.{i}" for i in (0, 3, 5)}
    assert space.reason("features.1.0.block.0", "dil_conv_3x3") is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_other_types_take_examples_as_they_come(dtype):
    model = Residual().to(dtype)
    space = natrl.from_module(model, IMAGE)
    built = space.build(space.with_operations({"conv1": "sep_conv_3x3"}))
    assert {p.dtype for p in built.parameters()} == {dtype}
    assert space.cost(space.architecture) == (s := natrl.from_module(Residual(), IMAGE)).cost(s.architecture)


def test_models_on_another_device_take_examples_as_they_come():
    """The meta device stands for any other than the example's."""
    model = Residual().to("meta")
    space = natrl.from_module(model, IMAGE)
    assert space.build(space.with_operations({"conv1": "conv_1x1"})).conv1.weight.is_meta
    model.to_empty(device="cpu")  # moved after it was imported
    assert space.build(space.with_operations({"conv1": "conv_1x1"})).conv1.weight.device.type == "cpu"


def test_lazily_built_models_work_once_they_are_built():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.LazyConv2d(4, 3))
    model(IMAGE)
    assert len(natrl.from_module(model, IMAGE).slots) == 2


def test_several_inputs_and_a_batch():
    """Costs are of one image, whatever the batch is."""
    space = natrl.from_module(TwoInputs(), (torch.zeros(4, 3, 8, 8), torch.zeros(4, 1, 8, 8)))
    assert space.cost(space.architecture).madds == 9 * 64 * (3 * 4 + 1 * 4 + 4 * 4)
    assert space.architecture.cells[0].inputs == 2
    assert space.reason("left", "null") is None


def test_a_network_whose_slots_can_become_nothing_says_so():
    model = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Conv2d(1, 5, 1), nn.AdaptiveAvgPool2d(1))
    with pytest.raises(
        ValueError, match=r"none of 2 layers has a replacement that costs no more, and 1 .* its type is Adaptive"
    ):
        natrl.from_module(model, IMAGE)
