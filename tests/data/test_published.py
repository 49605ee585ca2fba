"""torchvision's data sets, from files made here; nothing is downloaded."""

from __future__ import annotations

import gzip
import inspect
import struct
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from natrl.data import load_data
from natrl.data.published import data_root, PUBLISHED

RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty NATRL_DATA_ROOT on a machine without network and without Debian's Fashion-MNIST."""

    def no_network(*args: Any, **kwargs: Any) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setattr("natrl.data.published.DEBIAN_FASHION", tmp_path / "no-debian")
    monkeypatch.setenv("NATRL_DATA_ROOT", str(tmp_path / "root"))
    return tmp_path / "root"


def idx(array: np.ndarray) -> bytes:
    """The IDX format of MNIST: magic number, sizes, bytes."""
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def mnist_like(folder: Path, *, compress: bool = False) -> dict[str, np.ndarray]:
    arrays = {}
    folder.mkdir(parents=True)
    for split, n in (("train", 100), ("t10k", 30)):
        arrays[f"{split}-images-idx3-ubyte"] = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = (np.arange(n) % 10).astype(np.uint8)
    for name, array in arrays.items():
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return arrays


def picture(path: Path, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8), mode=None).save(path)


def agree(shown: torch.Tensor, original: np.ndarray) -> bool:
    """True where normalised images are the original ones but for scale and offset."""
    pair = torch.stack([shown.flatten(), torch.from_numpy(original).float().flatten()])
    return float(torch.corrcoef(pair)[0, 1]) > 1 - 1e-5


def test_mnist_from_its_files(root: Path) -> None:
    arrays = mnist_like(root / "MNIST" / "raw")
    data = load_data("MNIST")
    assert (data.name, data.num_classes, data.image_size, data.image_channels) == ("mnist", 10, 28, 1)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [80, 20, 30]
    assert not data.augmentation.flip
    assert data.augmentation.padding == 3
    assert agree(data.test.tensors[0], arrays["t10k-images-idx3-ubyte"]), "the shipped test part is the test split"
    assert data.test.tensors[1].tolist() == arrays["t10k-labels-idx1-ubyte"].tolist()


@pytest.mark.parametrize("name", ["fashion-mnist", "FashionMNIST", "fashion_mnist"])
def test_fashion_mnist_from_debian(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    arrays = mnist_like(root / "debian", compress=True)
    monkeypatch.setattr("natrl.data.published.DEBIAN_FASHION", root / "debian")
    data = load_data(name)
    assert (data.name, data.class_names[0], data.class_names[9]) == ("fashion-mnist", "T-shirt/top", "Ankle boot")
    assert agree(data.test.tensors[0], arrays["t10k-images-idx3-ubyte"])
    small = load_data(name, image_size=8)
    assert small.train[0][0].shape == (1, 8, 8)


def test_a_failing_download_is_one_line(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=f"data 'mnist': not found in {root}, and the download failed") as caught:
        load_data("mnist")
    text = str(caught.value)
    assert "\n" not in text
    assert "no network in tests" in text
    assert "torchvision.datasets.MNIST" in text
    assert "NATRL_DATA_ROOT" in text
    assert capfd.readouterr().out == "", "standard output belongs to the command"


def test_a_data_set_that_cannot_be_downloaded_says_so(root: Path) -> None:
    with pytest.raises(ValueError, match=r"data 'imagenet': not found in .*torchvision cannot download it"):
        load_data("imagenet")


def test_a_data_set_without_parts_is_split(root: Path) -> None:
    for kind in ("Forest", "River"):
        for i in range(20):
            picture(root / "eurosat" / "2750" / kind / f"{kind}_{i}.jpg", (64, 64))
    data = load_data("eurosat", image_size=16)
    assert data.class_names == ("Forest", "River")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [24, 8, 8]
    assert data.train[0][0].shape == (3, 16, 16)
    assert sorted(data.test[i][1] for i in range(8)) == [0] * 4 + [1] * 4


def test_shipped_validation_and_test_parts_are_kept(root: Path) -> None:
    sizes = {"train": 4, "valid": 3, "test": 2}
    for folder, n in sizes.items():
        for kind in ("negative", "positive"):
            for i in range(n):
                picture(root / "rendered-sst2" / folder / kind / f"{i}.png", mode="L")
    data = load_data("Rendered-SST2")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 6, 4]
    assert data.image_channels == 3, "grey images become RGB"
    assert data.image_size == 10, "the shorter side of the first image"


def test_val_is_the_test_part_where_test_labels_are_secret(root: Path) -> None:
    classes = list(torchvision.datasets.Imagenette._WNID_TO_CLASS)
    for folder, n in (("train", 10), ("val", 2)):
        for kind in classes:
            for i in range(n):
                picture(root / "imagenette2" / folder / kind / f"{i}.JPEG", (20, 20))
    data = load_data("imagenette")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [80, 20, 20]
    assert data.class_names[0] == "tench, Tinca tinca"


class Coloured(torch.utils.data.Dataset[Any]):
    """Stands for CIFAR10: images (N, H, W, C) in `data`, a list in `targets`."""

    classes = ("a", "b")

    def __init__(self, root: str, train: bool, download: bool) -> None:
        assert download
        print("Files already downloaded and verified")
        self.data = np.arange(40 * 5 * 5 * 3).reshape(40, 5, 5, 3).astype(np.uint8)[:: 1 if train else 2]
        self.targets = [0, 1] * (len(self.data) // 2)

    def __len__(self) -> int:
        return len(self.data)


def test_coloured_images_in_memory(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torchvision.datasets.CIFAR10", Coloured)
    data = load_data("cifar10")
    captured = capfd.readouterr()
    assert captured.out == "", "what torchvision prints must not go to standard output"
    assert "verified" in captured.err
    assert (data.image_channels, data.image_size, data.class_names) == (3, 5, ("a", "b"))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [32, 8, 20]
    for channel in range(3):
        assert agree(data.test.tensors[0][:, channel], Coloured("", False, True).data[..., channel].copy())


@pytest.mark.parametrize("name", PUBLISHED)
def test_torchvision_takes_these_arguments(name: str) -> None:
    published = PUBLISHED[name]
    signature = inspect.signature(getattr(torchvision.datasets, published.class_name))
    accepts_anything = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    assert "train" in published.parts
    assert set(published.parts) <= {"train", "validation", "test"}
    for arguments in published.parts.values():
        signature.bind("root", **arguments, **({"download": True} if published.downloads else {}))
        assert accepts_anything or set(arguments) <= set(signature.parameters)


def test_the_root_is_under_home_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NATRL_DATA_ROOT", raising=False)
    assert data_root() == Path.home() / ".cache" / "natrl"
