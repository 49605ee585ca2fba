"""First weights of replacements: exact where the trained layer can be kept, and better than random where not."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn, Tensor

import natrl
from natrl.modules.inherit.inheritance import Inheritance
from natrl.modules.inherit.kernels import factorise, inherit_kernel
from natrl.modules.inherit.least_squares import fit_layer, inherit
from natrl.modules.inherit.reference import Reference, Rows
from natrl.modules.replace.replacements import replacement
from natrl.training.modes import recalibrating


def seeded(layer: nn.Conv2d) -> nn.Conv2d:
    torch.manual_seed(0)
    layer.reset_parameters()
    return layer


def rank_one(layer: nn.Conv2d, taps: slice = slice(None)) -> nn.Conv2d:
    """One filter an input channel, times a weight for each output; zero outside the taps."""
    outputs, inputs, *size = layer.weight.shape
    filters = torch.zeros(inputs, *size)
    filters[:, taps, taps] = torch.randn(filters[:, taps, taps].shape)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(outputs, inputs, 1, 1) * filters)
    return layer


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operation", ["conv_3x3", "sep_conv_3x3", "dil_conv_3x3", "conv_1x3_3x1", "sep_conv_5x5"])
def test_kernels_that_the_replacement_can_hold_are_recovered(operation: str, stride: int) -> None:
    """A rank-1 kernel is a depthwise filter and a pointwise convolution; border taps at 0 are cropped."""
    layer = seeded(nn.Conv2d(4, 6, 5, stride, 2))
    match operation:
        case "dil_conv_3x3":
            rank_one(layer, slice(0, 5, 2))
        case "sep_conv_5x5":
            rank_one(layer)
        case _:
            rank_one(layer, slice(1, 4))
    if operation == "conv_1x3_3x1":  # a filter that is a product of a row and a column, too
        with torch.no_grad():
            layer.weight.copy_(layer.weight.sum(2, keepdim=True) * torch.tensor([0, 1.0, -2, 3, 0])[:, None])
    module = replacement(layer, operation)
    if operation.startswith("sep_conv") and stride == 2:  # its ReLU stands behind the filter
        module[2] = nn.Identity()
        module[3] = nn.Identity()
    inherit_kernel(layer, module)
    x = torch.rand(3, 4, 9, 10)
    torch.testing.assert_close(module.eval()(x), layer(x), atol=1e-4, rtol=1e-4)


def all_pixels(output: Tensor) -> Rows:
    count, channels, height, width = output.shape
    pixels = torch.cartesian_prod(*(torch.arange(n) for n in (count, height, width))).T
    return Rows(pixels, output.permute(0, 2, 3, 1).reshape(-1, channels), False)


@pytest.mark.parametrize(("stride", "inputs"), [(1, 3), (2, 3), (2, 1)])
@pytest.mark.parametrize("operation", ["conv_5x5", "conv_3x3", "sep_conv_3x3", "dil_conv_3x3"])
def test_least_squares_reproduces_what_can_be_reproduced(operation: str, stride: int, inputs: int) -> None:
    """The trained layer has a kernel that the replacement can hold, inputs have either sign, and padding matters."""
    layer = seeded(nn.Conv2d(inputs, 5, 5, stride, 1))
    rank_one(layer, slice(0, 5, 2) if operation == "dil_conv_3x3" else slice(1, 4))
    x = torch.randn(4, inputs, 11, 12)
    module = replacement(layer, operation)
    fit_layer(layer, module, x, all_pixels(layer(x).detach()), ridge=1e-9)
    torch.testing.assert_close(module.eval()(x), layer(x), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("groups", [2, 6])
@pytest.mark.parametrize(("operation", "taps"), [("conv_3x3", slice(1, 4)), ("dil_conv_3x3", slice(0, 5, 2))])
def test_each_group_is_fitted_by_itself(groups: int, operation: str, taps: slice) -> None:
    """Exactly, where the trained kernel has no other taps; else as least squares on the group's inputs has it."""
    layer = seeded(nn.Conv2d(6, 12, 5, padding=2, groups=groups))
    x = torch.randn(4, 6, 11, 12)
    module = replacement(layer, operation)
    assert isinstance(module, nn.Conv2d)
    assert (module.groups, module.kernel_size) == (groups, (3, 3))
    fit_layer(layer, module, x, all_pixels(layer(x).detach()), ridge=1e-12)
    alone = nn.Conv2d(6 // groups, 12 // groups, 3, padding=module.padding, dilation=module.dilation)
    with torch.no_grad():
        first, wanted = x[:, : 6 // groups], layer(x)[:, : 12 // groups]
        patches = nn.functional.unfold(first, 3, module.dilation, module.padding).transpose(1, 2).flatten(0, 1)
        rows = torch.cat([patches, torch.ones(len(patches), 1)], 1).double()
        found = torch.linalg.lstsq(rows, wanted.permute(0, 2, 3, 1).flatten(0, 2).double()).solution.float()
        alone.weight.copy_(found[:-1].T.reshape(alone.weight.shape)), alone.bias.copy_(found[-1])
        torch.testing.assert_close(module(x)[:, : 12 // groups], alone(first), atol=1e-3, rtol=1e-3)
        kept = torch.zeros_like(layer.weight)
        kept[..., taps, taps] = layer.weight[..., taps, taps]
        layer.weight.copy_(kept)
    fit_layer(layer, module, x, all_pixels(layer(x).detach()), ridge=1e-12)
    torch.testing.assert_close(module(x), layer(x), atol=1e-3, rtol=1e-3)


def test_a_group_without_anything_to_read_and_many_channels() -> None:
    """Zeros leave the first weights as they are; fewer pixels are read where there are many features."""
    layer = seeded(nn.Conv2d(1024, 1024, 5, padding=2, groups=1024))
    x = torch.randn(2, 1024, 16, 16)
    x[:, :10] = 0
    module = replacement(layer, "conv_3x3")
    fit_layer(layer, module, x, all_pixels(layer(x).detach()))
    torch.testing.assert_close(module.weight[:10], layer.weight[:10, :, 1:4, 1:4])
    crop = nn.functional.conv2d(x, layer.weight[:, :, 1:4, 1:4], layer.bias, padding=1, groups=1024)
    assert (module(x) - layer(x)).square().mean() < (crop - layer(x)).square().mean()


@pytest.mark.parametrize("operation", ["conv_1x1", "sep_conv_3x3", "dil_conv_3x3"])
def test_least_squares_is_nearer_than_the_kernel_alone_and_that_nearer_than_random(operation: str) -> None:
    layer = seeded(nn.Conv2d(8, 8, 3, padding=1))
    x = nn.functional.avg_pool2d(torch.randn(16, 8, 10, 10), 3, 1).relu()  # neighbours are alike, as in images
    y = layer(x).detach()

    def error(module: nn.Module) -> float:
        return nn.functional.mse_loss(module.eval()(x), y).item() / y.var().item()

    random, kernel, fitted = (replacement(layer, operation) for _ in range(3))
    inherit_kernel(layer, kernel)
    fit_layer(layer, fitted, x, all_pixels(y))
    assert error(fitted) < error(kernel)
    assert error(fitted) < 0.9 * error(random)


class Net(nn.Module):
    """Two convolutions of which a batch-norm reads one, an unused one, and dropout, which must not act."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6, momentum=0.3)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.unused = nn.Conv2d(6, 6, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.conv2(self.norm(self.conv1(x)).relu()))


def test_a_network_inherits_in_one_pass() -> None:
    torch.manual_seed(1)
    trained, images = Net(), torch.randn(32, 3, 8, 8)
    with torch.no_grad():
        for _ in range(20):
            trained(images)  # batch-norm statistics
    reference = Reference(trained, ["conv1", "conv2"], images, rows=500)
    assert [len(r.values) for r in reference.layers.values()] == [500, 500]
    assert [r.normalised for r in reference.layers.values()] == [True, False]
    assert trained.training

    new = Net()
    new.load_state_dict(trained.state_dict())
    layers = {"conv1": trained.conv1, "conv2": trained.conv2}
    for name, layer in layers.items():
        new.set_submodule(name, replacement(layer, "sep_conv_3x3"))
    before = nn.functional.mse_loss(new.eval()(images), trained.eval()(images)).item()
    inherit(new.train(), layers, reference)
    assert new.training
    assert new.norm.momentum == 0.3
    after = nn.functional.mse_loss(new.eval()(images), trained.eval()(images)).item()
    assert after < 0.7 * before  # of noise, three channels hold little
    torch.testing.assert_close(new.norm.running_mean, new.conv1(images).mean((0, 2, 3)))
    again = new.eval()(images)
    inherit(new, layers, reference)
    torch.testing.assert_close(new.eval()(images), again)


class Chain(nn.Module):
    """Three convolutions, of which the last is called twice where that is asked for."""

    def __init__(self, twice: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.third = nn.Conv2d(6, 6, 3, padding=1)
        self.twice = twice

    def forward(self, x: Tensor) -> Tensor:
        x = self.third(self.second(self.first(x).relu()).relu())
        return self.third(x.relu()) if self.twice else x


@pytest.mark.parametrize("stays", ["nothing", "frozen", "parametrized", "twice"])
def test_layers_that_stay_make_up_for_what_changed_before_them(stays: str) -> None:
    """Those before are as they were, and those that nobody may change, or that are called again with other inputs."""
    torch.manual_seed(1)
    trained, images = Chain(stays == "twice").eval(), torch.randn(64, 3, 8, 8)
    names = ("first", "second", "third")
    reference = Reference(trained, names, images)
    layers = {name: trained.get_submodule(name) for name in names}
    errors = []
    for staying in ({}, {"first": layers["first"], "third": layers["third"]}):
        new = deepcopy(trained)
        new.second = replacement(trained.second, "sep_conv_3x3")
        if stays == "frozen":
            new.third.requires_grad_(False)
        if stays == "parametrized":
            nn.utils.parametrizations.weight_norm(new.third)
        inherit(new, {"second": trained.second}, reference, staying=staying)
        assert new.first.weight.equal(trained.first.weight)
        errors.append(nn.functional.mse_loss(new.eval()(images), trained(images)).item())
    assert errors[1] < 0.9 * errors[0] if stays == "nothing" else errors[1] == errors[0]


def test_layers_that_nothing_changed_before_keep_their_weights_to_the_bit() -> None:
    """Batch-norms that have other statistics than those of the images are no change."""
    torch.manual_seed(1)
    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.Flatten(), nn.Linear(6 * 64, 5)),
    ).eval()
    images = 3 * torch.randn(32, 3, 8, 8) + 1
    space = natrl.from_module(model, images[:2])
    inherit_weights = Inheritance(space, images, seed=0, device=torch.device("cpu"))
    network = inherit_weights(space.with_operations({"5": "sep_conv_3x3"}))
    kept = [name for name in ("0", "3", "7", "9") if space.slot(name) in space.slots]
    same = {name: network.get_submodule(name).weight.equal(model.get_submodule(name).weight) for name in kept}
    assert same == {"0": True, "3": True, "7": False, "9": False}


def test_a_filter_with_another_dilation_is_a_replacement() -> None:
    """Its weights have the shape of the trained layer's."""
    torch.manual_seed(1)
    trained, images = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8)), torch.randn(32, 8, 8, 8)
    reference, new = Reference(trained, ["0"], images), nn.Sequential(replacement(trained[0], "dil_conv_3x3"))
    alone = deepcopy(new)
    inherit(new, {"0": trained[0]}, reference)
    fit_layer(trained[0], alone[0], images, reference.layers["0"])
    torch.testing.assert_close(new[0].weight, alone[0].weight, rtol=0, atol=0)


def test_a_layer_that_is_not_run_is_named() -> None:
    with pytest.raises(ValueError, match="layer 'unused' is not run by the network"):
        Reference(Net(), ["unused"], torch.randn(2, 3, 8, 8))


def test_recalibration_takes_the_statistics_of_the_images_and_leaves_the_rest() -> None:
    net, images = Net().eval(), torch.randn(16, 3, 8, 8)
    with recalibrating(net), torch.no_grad():
        first = net(images)
    torch.testing.assert_close(net.norm.running_var, net.conv1(images).var((0, 2, 3)))
    torch.testing.assert_close(net(images), first, atol=1e-2, rtol=1e-2)  # no dropout in either
    assert not net.training


def test_a_factorisation_is_the_nearest_one_in_the_outputs() -> None:
    """What remains is what the other singular values of each channel's kernel, times a root of the moments, hold."""
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(5, 3, 3, 3, generator=generator)
    taps = torch.randn(3, 40, 9, generator=generator).double().cumsum(-1)  # neighbours are alike
    moments = taps.mT @ taps / 40
    depthwise, pointwise = nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.Conv2d(3, 5, 1, bias=False)
    with torch.no_grad():
        factorise(kernel, depthwise, pointwise, moments)
    filters, mix = depthwise.weight.flatten(1).double(), pointwise.weight[:, :, 0, 0].T.double()
    rest = kernel.double().transpose(0, 1).flatten(2) - mix[:, :, None] * filters[:, None]
    remaining = ((rest @ taps.mT) ** 2).sum((1, 2)) / 40
    values, vectors = torch.linalg.eigh(moments)
    root = vectors @ values.sqrt().diag_embed()
    singular = torch.linalg.svdvals(kernel.double().transpose(0, 1).flatten(2) @ root)
    torch.testing.assert_close(remaining, (singular[:, 1:] ** 2).sum(1), rtol=1e-4, atol=1e-6)
