"""Exported networks: what people without natrl rebuild gives the same outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from natrl import Architecture, build_network, Skeleton, space, zoo
from natrl.core.architecture import make_cell
from natrl.core.genotypes import parse
from natrl.core.operations import VOCABULARY
from natrl.export.code import model_code
from natrl.export.evaluator import evaluator
from natrl.export.folder import export_architecture, export_architectures
from natrl.export.module_code import module_code
from natrl.export.onnx_file import export_onnx
from natrl.files.writing import new_folder
from natrl.modules.importing import from_module
from natrl.training.weights import save_weights
from tests.report.examples import NASBENCH

SMALL = Skeleton(channels=4, cells=3, image_size=9, image_channels=1, num_classes=3)

#: Runs where natrl cannot be imported: rebuilds the network, loads the weights, writes its logits.
STRANGER = """
import sys
sys.modules["natrl"] = None
import torch
from safetensors.torch import load_file
import model
network = model.Network()
network.load_state_dict(load_file("model.safetensors"))
torch.save(network.double().eval()(torch.load("images.pt")), "logits.pt")
"""


def every_operation() -> Architecture:
    """Cells in which each operation of the vocabulary stands at stride 1 and at stride 2; a block is in no cell."""
    names = [name for name, op in VOCABULARY.items() if name != "block" and not op.is_width]
    cells, operations = [], []
    for name in ("normal", "reduce"):
        slots = [(op, s, 2 + i % 3) for s in (0, 1) for i, op in enumerate(names)]
        slots += [(op, 2, 5) for op in names]
        cell, ops = make_cell(name, 2, slots, (3, 4, 5), name == "reduce")
        cells.append(cell)
        operations += ops
    return Architecture(tuple(cells), tuple(operations)).validate()


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """In evaluation, with running statistics that differ from the ones it starts with."""
    generator = torch.Generator().manual_seed(seed)
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.normal_(generator=generator)  # type: ignore[union-attr]
        norm.running_var.uniform_(0.5, 2.0, generator=generator)  # type: ignore[union-attr]
    return network.eval()


def images(skeleton: Skeleton, n: int = 2) -> torch.Tensor:
    shape = (n, skeleton.image_channels, skeleton.image_size, skeleton.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def assert_same_network(architecture: Architecture, skeleton: Skeleton) -> None:
    """model.py has the keys and shapes of build_network, and with its weights its logits (float64 rounds less)."""
    network = randomised(build_network(architecture, skeleton))
    names: dict = {"__name__": "model"}
    exec(model_code(architecture, skeleton), names)
    rebuilt = names["Network"]().eval()
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }
    rebuilt.load_state_dict(network.state_dict())
    x = images(skeleton).double()
    with torch.no_grad():
        torch.testing.assert_close(rebuilt.double()(x), network.double()(x))


@pytest.mark.parametrize("image_size", [8, 9])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_every_operation_is_rebuilt(stem, image_size):
    assert_same_network(
        every_operation(), replace(SMALL, stem=stem, image_size=image_size * (4 if stem != "cifar" else 1))
    )


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_any_number_of_cells_is_stacked_alike(cells):
    for architecture in (zoo()["ENAS"], NASBENCH):
        assert_same_network(architecture, replace(SMALL, cells=cells, channels=5))


@settings(max_examples=15)
@given(st.sampled_from(["darts", "enas", "nao", "nasbench201"]), st.integers(0, 10_000))
def test_random_architectures_are_rebuilt(name, seed):
    assert_same_network(space(name).sample(np.random.default_rng(seed)), SMALL)


def test_a_single_cell_that_halves_its_input_is_rebuilt():
    slots = [("conv_3x3", 0, 1), ("skip_connect", 0, 2), ("null", 0, 2), ("skip_connect", 1, 2)]
    cell, ops = make_cell("class", 1, slots, (2,), reduction=True)  # a name that Python has taken
    assert_same_network(Architecture((cell,), ops).validate(), replace(SMALL, image_size=16))


def test_a_folder_is_all_that_a_stranger_needs(tmp_path):
    """A process without natrl, in the folder: about 2 s, for torch."""
    network = randomised(build_network(zoo()["NAONet"], SMALL))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    files = export_architecture(zoo()["NAONet"], SMALL, tmp_path / "best", weights=weights)
    assert [file.name for file in files] == [
        "architecture.json",
        "darts.txt",
        "model.py",
        "model.safetensors",
        "nat.txt",
    ]
    for name in ("architecture.json", "darts.txt", "nat.txt"):
        assert parse(tmp_path / "best" / name) == zoo()["NAONet"]
    x = images(SMALL).double()
    torch.save(x, tmp_path / "best" / "images.pt")
    command = [sys.executable, "-c", STRANGER]
    done = subprocess.run(
        command, cwd=tmp_path / "best", capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""}
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / "best" / "logits.pt"), network.double()(x))


def test_notations_are_those_that_the_architecture_has(tmp_path):
    files = export_architecture(NASBENCH, SMALL, tmp_path / "a")
    assert [file.name for file in files] == ["architecture.json", "model.py", "nasbench201.txt"]
    assert all(parse(file) == NASBENCH for file in files if file.name != "model.py")


def test_several_have_a_folder_each(tmp_path):
    names = ("VGG", "runs/a b.json", "vgg", "../..")
    folders = export_architectures(dict.fromkeys(names, (NASBENCH, None)), SMALL, tmp_path / "all")
    assert [folder.name for folder in folders] == ["VGG", "a-b", "vgg-2", "architecture"]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "all"]
    assert all((folder / "model.py").is_file() for folder in folders)


def test_nothing_is_written_over_and_nothing_is_left_half_written(tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "a").write_text("kept")
    with pytest.raises(ValueError, match="exists and is not empty"):
        export_architecture(NASBENCH, SMALL, full)
    other = build_network(NASBENCH, replace(SMALL, channels=8)).state_dict()
    with pytest.raises(ValueError, match=r"the weights do not fit the network: .*size mismatch"):
        export_architecture(NASBENCH, SMALL, tmp_path / "new", weights={k: v.numpy() for k, v in other.items()})
    with pytest.raises(ValueError, match="a skeleton stacks"):
        export_architecture(random_two_cells(), SMALL, tmp_path / "new")
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "new") as fresh:
        (fresh / "missing" / "half").write_text("")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert [path.name for path in full.iterdir()] == ["a"]


def random_two_cells() -> Architecture:
    cell, ops = make_cell("first", 1, [("conv_3x3", 0, 1)], (1,))
    other, more = make_cell("second", 1, [("conv_3x3", 0, 1)], (1,))
    return Architecture((cell, other), ops + more).validate()


class Tied(nn.Module):
    """Somebody's module: two inputs, weights under two names, a training flag of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.dropout = nn.Dropout()

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.second(self.first(x))) + y


def test_weights_of_any_module_are_saved(tmp_path):
    module, other = Tied(), Tied()
    module.weight_of_another_layout = nn.Parameter(torch.randn(2, 3).T)
    path = save_weights(module, tmp_path / "a.safetensors")
    stored = load_file(path)
    assert stored.keys() == module.state_dict().keys()
    for name, value in module.state_dict().items():
        torch.testing.assert_close(stored[name], value)
    del stored["weight_of_another_layout"]
    other.load_state_dict(stored)
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def load_onnx(path: Path) -> Any:
    import onnx

    return onnx.load(path)


def run_onnx(path: Path, *inputs: torch.Tensor) -> np.ndarray:
    """By the reference evaluator of the onnx package, which is none of torch's doing."""
    file = evaluator(path)
    return file.run(None, dict(zip(file.input_names, (x.numpy() for x in inputs), strict=True)))[0]


@pytest.fixture
def onnx():
    pytest.importorskip("onnxscript", reason="ONNX is not installed: pip install onnx onnxscript")


def test_onnx_gives_the_same_logits(onnx, tmp_path):  # a few seconds: torch traces the network twice
    weights = randomised(build_network(NASBENCH, SMALL)).state_dict()
    numpy = {name: value.numpy() for name, value in weights.items()}
    files = export_architecture(NASBENCH, SMALL, tmp_path / "best", weights=numpy, onnx=True)
    assert {"model.onnx", "model.safetensors"} <= {file.name for file in files}
    network = build_network(NASBENCH, SMALL).eval()
    network.load_state_dict(load_file(tmp_path / "best" / "model.safetensors"))
    for n in (1, 5):
        with torch.no_grad():
            expected = network(images(SMALL, n)).numpy()
        found = run_onnx(tmp_path / "best" / "model.onnx", images(SMALL, n))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_onnx_of_any_module(onnx, tmp_path):
    module = Tied().train()
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    path = export_onnx(module, (x, y), tmp_path / "a.onnx")
    assert module.training
    with torch.no_grad():
        expected = module.eval()(x, y)
    np.testing.assert_allclose(run_onnx(path, x, y), expected.numpy(), atol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


def without_padding(axes: int) -> nn.Sequential:
    """LeNet, or what it would be along one axis, for any size (torch.export fixes that at a MaxPool1d)."""
    pooling = "AvgPool" if axes == 1 else "MaxPool"
    conv, pool, average = (getattr(nn, f"{kind}{axes}d") for kind in ("Conv", pooling, "AdaptiveAvgPool"))
    features = (conv(1, 6, 5), nn.ReLU(), pool(2), conv(6, 8, 5), nn.ReLU(), pool(5, 1), average(1))
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(8, 10)).eval()


@pytest.mark.parametrize(("axes", "sizes"), [(1, [(28,), (61,)]), (2, [(24, 24), (25, 31)])])
def test_networks_whose_replacements_crop(onnx, tmp_path, axes, sizes):  # seconds: torch traces them
    model, x = without_padding(axes), torch.randn(2, 1, *sizes[0])
    space = from_module(model, x)
    chosen = space.with_operations({"0": "conv_3x3", "3": "sep_conv_3x3", "5": "avg_pool_3x3"})
    separable = 3**axes * 6 + 6 * 6 + 2 * 6 + 3**axes * 6 + 6 * 8 + 8
    assert space.cost(chosen).params == (3**axes * 6 + 6) + separable + (8 * 10 + 10)
    network = space.build(chosen).eval()
    export_onnx(network, x, tmp_path / "a.onnx")
    names: dict = {"__name__": "model"}
    exec(module_code(network, x), names)
    written = names["Network"]().eval()
    written.load_state_dict(network.state_dict())
    for size in sizes:
        x = torch.randn(3, 1, *size)
        with torch.no_grad():
            assert torch.equal(space.build(space.architecture)(x), model(x))
            assert torch.equal(written(x), network(x))
            np.testing.assert_allclose(run_onnx(tmp_path / "a.onnx", x), network(x).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.MaxPool1d(3, 1, 1), torch.randn(2, 3, 9)),
        (nn.MaxPool3d(3, 1, 1, ceil_mode=True), torch.randn(2, 3, 5, 6, 7)),
        (nn.ZeroPad2d((-1, 2, 0, -3)), torch.randn(2, 3, 8, 9)),
    ],
)
def test_what_the_onnx_package_gets_wrong_is_written(onnx, tmp_path, layer, x):  # a second
    path = export_onnx(nn.Sequential(layer), x, tmp_path / "a.onnx")
    np.testing.assert_array_equal(run_onnx(path, x), layer(x).numpy())


class Resized(nn.Module):
    """Reads sizes; a path of its own for large images if `large` says so."""

    def __init__(self, large: int = 10**6) -> None:
        super().__init__()
        self.conv, self.large = nn.Conv2d(3, 4, 3, padding=1), large

    def forward(self, x: torch.Tensor, targets: None = None) -> torch.Tensor:
        x = self.conv(x) if x.shape[2] < self.large else -self.conv(x)
        return torch.nn.functional.interpolate(x, size=(int(x.shape[2]) * 2, x.shape[3])).flatten(2)


@pytest.mark.parametrize("large", [10**6, 40])
def test_onnx_takes_every_size_that_goes_one_way(onnx, tmp_path, large):  # two seconds
    module = Resized(large).eval()
    path = export_onnx(module, torch.randn(2, 3, 16, 16), tmp_path / "a.onnx")
    sizes = [d.dim_value for d in load_onnx(path).graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ([0, 3, 0, 0] if large > 1000 else [0, 3, 16, 16])
    for shape in ((1, 3, 16, 16), (3, 3, 16, 16), *([(2, 3, 9, 30), (1, 3, 64, 64)] if large > 1000 else [])):
        x = torch.randn(shape)
        with torch.no_grad():
            np.testing.assert_allclose(run_onnx(path, x), module(x).numpy(), atol=1e-6)


class Squeezed(nn.Module):
    """Drops the batch where it is one image: ONNX has no such operation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3)).squeeze(0)


class Shrunk(Squeezed):
    """Another number of pixels than ONNX takes, where the number is odd."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(self.conv(x), scale_factor=0.75, mode="bilinear", align_corners=True)


class Halves(Squeezed):
    """The exporter fails at an error of its own with sizes that are not numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.split(x.shape[3] // 2, 3)[:2]
        return self.conv(left) + self.conv(right)


@pytest.mark.parametrize("kind", [Shrunk, Halves])
def test_onnx_fixes_sizes_where_others_would_be_wrong(onnx, tmp_path, kind):  # a few seconds
    module = kind().eval()
    path = export_onnx(module, torch.randn(2, 3, 16, 16), tmp_path / "a.onnx")
    assert [d.dim_value for d in load_onnx(path).graph.input[0].type.tensor_type.shape.dim] == [0, 3, 16, 16]
    for batch in (1, 3):
        x = torch.randn(batch, 3, 16, 16)
        with torch.no_grad():
            np.testing.assert_allclose(run_onnx(path, x), module(x).numpy(), atol=1e-5)


def test_a_file_that_runs_on_one_image_alone_is_refused(onnx, tmp_path):  # a few seconds
    with pytest.raises(ValueError, match="cannot be written as ONNX: the file does not run: ") as error:
        export_onnx(Squeezed(), torch.randn(2, 3, 16, 16), tmp_path / "a.onnx")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


class Untraceable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum().item() > 0 else -x


def test_what_cannot_be_traced_is_said_in_one_line(onnx, tmp_path):
    with pytest.raises(ValueError, match="the network cannot be written as ONNX") as error:
        export_onnx(Untraceable(), torch.zeros(2, 3), tmp_path / "a.onnx")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_without_onnx_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match=r"ONNX needs onnx.*: pip install onnx"):
        export_architecture(NASBENCH, SMALL, tmp_path / "a", onnx=True)
    assert not list(tmp_path.iterdir())
