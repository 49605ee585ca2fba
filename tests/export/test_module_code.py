"""A user's networks as code: the same outputs where natrl and the user's classes are missing, or one line why not."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import fx, nn, Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torchvision.models.feature_extraction import create_feature_extractor

import natrl
from natrl.export.module_code import export_module_code, module_code
from natrl.export.subject import is_same
from natrl.modules.replace.replacements import replacement
from natrl.training.weights import save_weights
from tests.export.test_export import randomised, STRANGER
from tests.modules.networks import Residual
from tests.modules.test_branches import Net, Normalised, Perceptron, Torchs

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def rebuilt(model: nn.Module, images: Tensor = IMAGES) -> nn.Module:
    """What the code builds, with the model's weights."""
    names: dict = {"__name__": "model"}
    exec(module_code(model, images), names)
    network = names["Network"]()
    network.load_state_dict(model.state_dict())
    return network.eval()


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
    """Holds a large tensor that is neither a parameter nor a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = torch.rand(3, 48, 48)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (16,) * 4) + self.positions)


class Relative(nn.Module):
    """A bias for each distance between two of 32 rows, found by a table in no state_dict; autocast is off."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bias = nn.Conv2d(3, 4, 1), nn.Parameter(torch.rand(63))
        rows = torch.arange(32)
        self.register_buffer("distances", rows[:, None] - rows + 31, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[2]
        x = self.conv(x).mean(3)
        with torch.autocast(x.device.type, enabled=False):
            return x @ self.bias[self.distances[:rows, :rows]].float()


class Hooked(Moody):
    """A hook on a layer changes what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv.register_forward_hook(lambda module, inputs, output: 2 * output)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Sizes(Moody):
    """Reads sizes in every way that torch.fx cannot follow, but goes one way for all of them."""

    def forward(self, x: Tensor) -> dict[str, Any]:
        _, _, rows, columns = x.shape
        half = F.interpolate(self.conv(x), size=(int(rows) // 2, math.ceil(columns / 2)))
        grid = torch.arange(int(columns))[None] + torch.zeros(rows, 1)
        return {"maps": [half.view(len(x), -1, half.shape[-1])], "grid": x + grid}


class Small(Moody):
    """Another path for one image, and for large ones."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] > 24:
            return self.conv(x).relu()
        return -self.conv(x) if len(x) == 1 else self.conv(x)


class Optional(Moody):
    def forward(self, x: Tensor, targets: Tensor | None = None, *, scale: float = 2.0) -> Tensor:
        logits = scale * self.conv(x).mean((2, 3))
        return logits if targets is None else F.cross_entropy(logits, targets)


class Spectrum(Moody):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft2(self.conv(x))


class Starred(Moody):
    def forward(self, *images: Tensor, **options: Any) -> Tensor:
        return self.conv(images[0]) + options.get("more", 0)


class Sequences(nn.Module):
    """Layers whose constructor takes anything, and one of torch's that is made of others."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.recurrent = nn.Conv2d(3, 4, 3), nn.GRU(4, 6, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.recurrent(self.conv(x).mean(3).transpose(1, 2))
        return x + self.attention(x, x, x, need_weights=False)[0]


class Silent(nn.Module):
    """A layer that does not tell whether it has a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.attention = nn.Conv2d(3, 4, 3), nn.MultiheadAttention(4, 2, bias=False, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).mean(3).transpose(1, 2)
        return self.attention(x, x, x, need_weights=False)[0]


def plain() -> nn.Module:
    """A container without a class of its own, as symbolic_trace makes one of nested nn.Sequential."""
    return fx.symbolic_trace(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.ReLU()))


def features() -> nn.Module:
    return create_feature_extractor(torchvision.models.shufflenet_v2_x0_5(), {"stage2": "early", "stage3": "late"})


def residual() -> nn.Module:
    """With one layer of every kind of replacement that there is."""
    space = natrl.from_module(Residual(), torch.zeros(1, 3, 16, 16))
    chosen = {"stem": "sep_conv_3x3", "conv2": "null", "down1": "dil_conv_3x3", "down2": "avg_pool_3x3", "pool": "skip"}
    found = space.build(space.with_operations({k: v.replace("skip", "skip_connect") for k, v in chosen.items()}))
    found.down1 = nn.Sequential(found.down1, nn.ZeroPad2d(2), replacement(nn.AvgPool2d(5, 1), "avg_pool_3x3"))
    found.down2 = nn.Sequential(found.down2, nn.MaxPool2d((3, 3), (1, 1), (1, 1)))
    return found


def branches() -> nn.Module:
    """Linear layers of low rank, one that is null, and attention that is."""
    space = natrl.from_module(Net(Torchs(), Perceptron(), Normalised(), Perceptron()), torch.zeros(1, 3, 16, 16))
    chosen = {"branches.1.fc1": "low_rank_2", "head": "low_rank_8", "stem": "conv_1x1"}
    nulls = dict.fromkeys(("branches.0.attention", "branches.2.fc", "branches.3.fc2"), "null")
    return space.build(space.with_operations(chosen | nulls))


def weight_norm() -> nn.Module:
    """A layer whose weight is worked out from two others."""
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3)), nn.PReLU(), nn.Softmax(1))


SIZES = [(2, 16, 16), (1, 16, 16), (3, 17, 23), (1, 32, 16), (2, 9, 9)]
ALL = (
    *(
        residual,
        branches,
        Tensors,
        Odd,
        Hooked,
        Sizes,
        Small,
        Optional,
        Starred,
        Spectrum,
        Relative,
        Sequences,
        Silent,
        weight_norm,
        plain,
        features,
    ),
    *(lambda: nn.DataParallel(residual()), lambda: AveragedModel(residual())),
    torchvision.models.shufflenet_v2_x0_5,
)


@pytest.mark.parametrize("make", ALL)
def test_the_code_gives_the_same_at_every_size_or_says_which_it_holds_for(make: Callable[[], nn.Module]) -> None:
    """Up to a second each where torch.export is needed."""
    torch.manual_seed(0)
    model = randomised(make())
    network = rebuilt(model)
    refused = 0
    for size in SIZES:
        images = torch.randn(size[0], 3, *size[1:])
        with torch.no_grad():
            wanted = model.eval()(images)
            try:
                given = network(images)
            except ValueError as error:
                refused += bool(re.search(r"this code holds for inputs with .*x\.shape\[[023]\]", str(error)))
            else:
                assert is_same(given, wanted)
    assert refused == {Odd: 1, Small: 2}.get(make, 0)


def test_layers_are_called_as_such_where_torch_fx_follows_the_network() -> None:
    assert "aten" not in module_code(residual(), IMAGES)


def test_code_that_needs_sizes_goes_where_its_input_is() -> None:
    """torch.export writes the example's device into what makes tensors."""
    assert "cpu" not in module_code(Sizes(), IMAGES)


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
        (Constant(), r"is a tensor of shape \(3, 48, 48\) that is not in the state_dict"),
        (nn.Conv2d(1, 1, 3), r"Conv2d does not run on an example input of shape \(2, 3, 16, 16\): RuntimeError: Given"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, device="meta")), "layer '0' is on the meta device"),
        (nn.Sequential(nn.LazyConv2d(4, 3)), "layer '0' is built lazily"),
        (
            nn.Sequential(OrderedDict({"class": nn.Conv2d(3, 4, 3)})),
            "'class.weight' has a word in it that Python reserves",
        ),
    ],
)
def test_why_there_is_no_code_is_said_in_one_line(model: nn.Module, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        export_module_code(model, IMAGES, tmp_path / "model.py")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:FutureWarning")
def test_a_compiled_part_cannot_be_written() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.trace(nn.Conv2d(4, 4, 3), torch.zeros(1, 4, 8, 8)))
    with pytest.raises(
        ValueError, match=r"layer '1' was compiled by torch\.jit .*: give the nn\.Module that it was made from"
    ):
        module_code(model, IMAGES)
