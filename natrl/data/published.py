"""torchvision's classification data sets by name."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from natrl.checks.errors import said
from natrl.data.labels import class_names, labels_of
from natrl.data.parts import ArrayPart, Part
from natrl.data.raw import RawData

__all__ = ["PUBLISHED", "Published"]

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

TRAIN_TEST = {"train": {"split": "train"}, "test": {"split": "test"}}
TRAIN_VAL_TEST = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
TRAIN_FLAG: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
WHOLE: dict[str, dict[str, Any]] = {"train": {}}
#: ImageNet's habit: the labels of the test part are secret, so "val" is what figures are reported on.
VAL_IS_TEST = {"train": {"split": "train"}, "test": {"split": "val"}}


@dataclass(frozen=True)
class Published:
    """How torchvision's class is asked for each part that the data set ships."""

    class_name: str
    parts: Mapping[str, Mapping[str, Any]]  # "train" | "validation" | "test" → arguments
    flip: bool = True  # mirror images are right in training
    downloads: bool = True

    def read(self, name: str) -> RawData:
        """The data set from data_root(), downloaded if it is not there. ValueError if that fails."""
        if name == "fashion-mnist" and (DEBIAN_FASHION / "train-images-idx3-ubyte.gz").is_file():
            return _debian_fashion(name)
        datasets = {part: self._open(name, arguments) for part, arguments in self.parts.items()}
        parts = {part: _part(dataset) for part, dataset in datasets.items()}
        train = parts["train"]
        names = class_names(datasets["train"], train.labels)
        return RawData(name, names, train, parts.get("validation"), parts.get("test"), flip=self.flip)

    def _open(self, name: str, arguments: Mapping[str, Any]) -> Dataset[Any]:
        import torchvision  # takes a second or two

        build, root = getattr(torchvision.datasets, self.class_name), data_root()
        download = {"download": True} if self.downloads else {}
        try:
            with redirect_stdout(sys.stderr):  # standard output belongs to the command
                return build(root, **arguments, **download)
        except (OSError, RuntimeError) as error:
            tried = "and the download failed" if self.downloads else "and torchvision cannot download it"
            raise ValueError(
                f"data {name!r}: not found in {root}, {tried} ({said(error)}); put there what "
                f"torchvision.datasets.{self.class_name} reads, or set NATRL_DATA_ROOT to the folder that holds it"
            ) from None


#: name → how it is read.
PUBLISHED: dict[str, Published] = {
    "mnist": Published("MNIST", TRAIN_FLAG, flip=False),
    "fashion-mnist": Published("FashionMNIST", TRAIN_FLAG),
    "kmnist": Published("KMNIST", TRAIN_FLAG, flip=False),
    "qmnist": Published("QMNIST", TRAIN_FLAG, flip=False),
    "emnist": Published("EMNIST", {p: {"split": "balanced", **a} for p, a in TRAIN_FLAG.items()}, flip=False),
    "usps": Published("USPS", TRAIN_FLAG, flip=False),
    "semeion": Published("SEMEION", WHOLE, flip=False),
    "svhn": Published("SVHN", TRAIN_TEST, flip=False),
    "cifar10": Published("CIFAR10", TRAIN_FLAG),
    "cifar100": Published("CIFAR100", TRAIN_FLAG),
    "stl10": Published("STL10", TRAIN_TEST),
    "caltech101": Published("Caltech101", WHOLE),
    "caltech256": Published("Caltech256", WHOLE),
    "country211": Published("Country211", TRAIN_VAL_TEST | {"validation": {"split": "valid"}}),
    "dtd": Published("DTD", TRAIN_VAL_TEST),
    "eurosat": Published("EuroSAT", WHOLE),
    "fgvc-aircraft": Published("FGVCAircraft", TRAIN_VAL_TEST),
    "flowers102": Published("Flowers102", TRAIN_VAL_TEST),
    "food101": Published("Food101", TRAIN_TEST),
    "gtsrb": Published("GTSRB", TRAIN_TEST, flip=False),
    "imagenet": Published("ImageNet", VAL_IS_TEST, downloads=False),
    "imagenette": Published("Imagenette", VAL_IS_TEST),
    "oxford-iiit-pet": Published("OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}),
    "rendered-sst2": Published("RenderedSST2", TRAIN_VAL_TEST, flip=False),
    "stanford-cars": Published("StanfordCars", TRAIN_TEST, downloads=False),
    "sun397": Published("SUN397", WHOLE),
}


def data_root() -> Path:
    """Where published data sets are kept: the folder that NATRL_DATA_ROOT names, or ~/.cache/natrl."""
    return Path(os.environ.get("NATRL_DATA_ROOT") or "~/.cache/natrl").expanduser()


def _part(dataset: Dataset[Any]) -> Part:
    """In memory where torchvision keeps the images as one array, in files otherwise."""
    images, labels = getattr(dataset, "data", None), labels_of(dataset)
    if not isinstance(images, np.ndarray | torch.Tensor):
        from natrl.data.files import FilePart

        return FilePart(dataset, labels, np.arange(len(labels)))
    images = torch.as_tensor(images)
    if images.dim() == 3:
        images = images[:, None]
    if images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2)
    return ArrayPart(images, labels)


def _debian_fashion(name: str) -> RawData:
    """Fashion-MNIST's original files, IDX format behind gzip."""

    def read(kind: str, header: int) -> np.ndarray:
        return np.frombuffer(
            gzip.decompress((DEBIAN_FASHION / f"{kind}-ubyte.gz").read_bytes()), np.uint8, offset=header
        )

    def part(split: str) -> ArrayPart:
        images = read(f"{split}-images-idx3", 16).reshape(-1, 1, 28, 28)
        return ArrayPart(torch.from_numpy(images.copy()), read(f"{split}-labels-idx1", 8).astype(np.int64))

    return RawData(name, FASHION_CLASSES, part("train"), test=part("t10k"))
