"""Data sets that are read without torchvision: scikit-learn's digits, and the JPEG copy of CIFAR-10."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from natrl.data.parts import ArrayPart
from natrl.data.raw import RawData

__all__ = ["cifar10_jpeg", "digits"]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_JPEG_FILE = "cifar10_jpeg_q75_pack.npz"


def digits() -> RawData:
    """scikit-learn's 1,797 handwritten digits of 8×8 pixels: 800 for training, 450 for validation, 547 for the test.

    They fill their pixels, so crops cut strokes off: short trainings are up to 6 points better without.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    part = ArrayPart(torch.from_numpy(bunch.images).float()[:, None], bunch.target.astype(np.int64), white=16.0)
    return RawData("digits", tuple(map(str, range(10))), part, crop=False, flip=False, held_out=(450, 547))


def cifar10_jpeg() -> RawData:
    """CIFAR-10 after JPEG compression of quality 75, from the folder that the environment variable NATRL_DATA names.

    The file holds one JPEG header for all images, and per split ("train", "test") the scans behind each other
    (`scan_*`), their lengths in bytes (`len_*`) and the labels (`y_*`).
    """
    folder = os.environ.get("NATRL_DATA")
    path = Path(folder or ".") / CIFAR10_JPEG_FILE
    if not folder or not path.is_file():
        where = f"it is not in {folder}" if folder else "it is not set"
        raise ValueError(f"data 'cifar10-jpeg': NATRL_DATA must name the folder with {CIFAR10_JPEG_FILE}; {where}")
    with np.load(path) as pack:
        train, test = (_jpeg_part(pack, split) for split in ("train", "test"))
    return RawData("CIFAR-10 (JPEG copy)", CIFAR10_CLASSES, train, test=test)


def _jpeg_part(pack: np.lib.npyio.NpzFile, split: str) -> ArrayPart:
    header, scans = pack["header"].tobytes(), pack[f"scan_{split}"].tobytes()
    ends = np.cumsum(pack[f"len_{split}"], dtype=np.int64)
    images = np.empty((len(ends), 3, 32, 32), np.uint8)
    for image, start, end in zip(images, (0, *ends), ends, strict=False):
        jpeg = header + scans[start:end] + b"\xff\xd9"  # JPEG's end-of-image marker
        image[:] = np.asarray(Image.open(io.BytesIO(jpeg))).transpose(2, 0, 1)
    return ArrayPart(torch.from_numpy(images), pack[f"y_{split}"].astype(np.int64))
