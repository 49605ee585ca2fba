"""A user's networks as code: the same outputs where natrl and the user's classes are missing, or one line why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn, Tensor
from torch.nn import functional as F

import natrl
from natrl.export.module_code import export_module_code, module_code
from natrl.export.weights import save_weights
from natrl.modules.replacements import replacement
from tests.export.test_export import randomised, STRANGER
from tests.modules.networks import Residual

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def rebuilt(model: nn.Module, images: Tensor = IMAGES) -> nn.Module:
    """What the code builds, with the model's weights."""
    names: dict = {"__name__": "model"}
    exec(module_code(model, images), names)
    network = names["Network"]()
    network.load_state_dict(model.state_dict())
    return network.eval()


def assert_same(network: nn.Module, model: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        assert torch.equal(network(images), model.eval()(images))


class Tensors(nn.Module):
    """A parameter and buffers of its own, one of them in no state_dict, a layer under two names, and one unused."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")
        self.again = self.first
        self.scales = nn.ParameterList([nn.Parameter(torch.rand(3, 1, 1)), nn.Parameter(torch.rand(3, 1, 1))])
        self.register_buffer("mean", torch.rand(3, 1, 1))
        self.register_buffer("blur", torch.rand(1, 1, 3, 3).repeat(3, 1, 1, 1), persistent=False)
        self.unused = nn.ModuleDict({"head": nn.Linear(3, 2)})

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.first(x - self.mean) * self.scales[0]) * self.scales[1]
        return F.conv2d(x, self.blur, groups=3).mean((2, 3))


class Odd(nn.Module):
    """Its path depends on shapes, which torch.fx cannot follow and torch.export can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(x.shape[-1] // 8):
            x = F.pad(x, (0, 1))
        return self.norm(self.conv(x)).mean((2, 3))


class Moody(nn.Module):
    """Its path depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if x.mean() > 0 else self.conv(-x)


class Constant(Moody):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x + torch.arange(3 * 16 * 16).reshape(3, 16, 16))


class Hooked(Moody):
    """A hook on a layer changes what it gives; the code of the layer does not have it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv.register_forward_hook(lambda module, inputs, output: 2 * output)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def residual() -> nn.Module:
    """With one layer of every kind of replacement that there is."""
    space = natrl.from_module(Residual(), torch.zeros(1, 3, 16, 16))
    chosen = {"stem": "sep_conv_3x3", "conv2": "null", "down1": "dil_conv_3x3", "down2": "avg_pool_3x3", "pool": "skip"}
    found = space.build(space.with_operations({k: v.replace("skip", "skip_connect") for k, v in chosen.items()}))
    found.down1 = nn.Sequential(found.down1, nn.ZeroPad2d(2), replacement(nn.AvgPool2d(5, 1), "avg_pool_3x3"))
    return found


def weight_norm() -> nn.Module:
    """A layer whose weight is worked out from two others."""
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3)), nn.PReLU(), nn.Softmax(1))


@pytest.mark.parametrize("make", [residual, Tensors, Odd, weight_norm, torchvision.models.shufflenet_v2_x0_5])
def test_the_code_gives_the_same_for_any_images(make: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = randomised(make())
    network = rebuilt(model)
    more = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    assert_same(network, model, more)


def test_a_stranger_without_natrl_rebuilds_a_transformed_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 32)
    original = torchvision.models.resnet18(num_classes=5)
    space = natrl.from_module(original, images)
    model = randomised(space.build(space.sample(np.random.default_rng(0)))).double()
    export_module_code(model, images.double(), tmp_path / "model.py")
    save_weights(model, tmp_path / "model.safetensors")
    torch.save(images.double(), tmp_path / "images.pt")
    (tmp_path / "stranger.py").write_text(STRANGER)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "stranger.py"], cwd=tmp_path, env=env, check=True)
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), model(images.double()))


def test_the_model_stays_as_it_was() -> None:
    model = Residual().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    module_code(model, IMAGES)
    assert model.training
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Moody(), "Moody cannot be followed, its path depends on values"),
        (Constant(), r"is a tensor of shape \(3, 16, 16\) that is not in the state_dict"),
        (Hooked(), "the code of Hooked does not give what the network gives"),
    ],
)
def test_why_there_is_no_code_is_said_in_one_line(model: nn.Module, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        export_module_code(model, IMAGES, tmp_path / "model.py")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
