"""Data sets by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from natrl.data.examples import ImageData
from natrl.data.own import accept_reader, accepted
from natrl.data.preprocessing import BY_STATISTICS, Numbers, Preprocessing
from natrl.data.published import PUBLISHED
from natrl.data.raw import RawData
from natrl.registry import Registry, returned_by

__all__ = ["DATA", "load_data", "read"]

LARGEST = 2**16  # pixels


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


#: Functions that give what `natrl.data.own.accepted` takes, of the argument after the name where there is one.
DATA = Registry("data", accept_reader, group="natrl.data", key=_plain)
DATA.register("digits", "natrl.data.embedded:digits", "1,797 handwritten digits of 8×8 pixels")
DATA.register("cifar10-jpeg", "natrl.data.embedded:cifar10_jpeg", "CIFAR-10 from the folder NATRL_DATA")
for _name, _published in PUBLISHED.items():
    DATA.register(_name, partial(_published.read, _name), f"torchvision's {_published.class_name}")
DATA.register("folder", "natrl.data.files:read_folder", "images in folders", arguments=("PATH",))


def load_data(
    name: Any,
    *,
    seed: int = 0,
    image_size: int | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    transform: Callable[[Any], Tensor] | str | None = None,
) -> ImageData:
    """The data set of that name, split by the seed and normalised by the statistics of its training split.

    `name` is "digits" (embedded, 8×8 pixels), another name of `DATA` in any case and with or without hyphens
    (torchvision's data sets, from NATRL_DATA_ROOT or ~/.cache/natrl, downloaded where they are missing),
    "folder:PATH" (images in folders; see `natrl.data.files.read_folder`), "module:callable" or the object itself (one's
    own; see `natrl.data.own.accepted`).
    A part that comes with the data is used as it is. Where there is no test part, half of the validation part is; where
    that is missing, too, a fifth of the images. A missing validation part is a fifth of the training part. All that is
    drawn is stratified; which images are for the test depends on the data alone, never on the seed. Images are resized
    to `image_size` pixels where it is given.

    `mean` and `std` of images in [0, 1] (a number, one a channel, or "none") take the place of the training split's;
    `transform`, a function of one image (or "module:object"), the place of resizing and normalising; it takes 8-bit
    images as PIL images, others as tensors (C, H, W), and gives a tensor (`natrl.data.preprocessing`).

    One's own ImageData is returned unchanged, and DataLoaders' images are taken as they come: both refuse all of these.
    ValueError, in one line, says why data cannot be had.
    """
    if image_size is not None and (not isinstance(image_size, int) or not 1 <= image_size <= LARGEST):
        raise ValueError(f"image_size must be a whole number of pixels, 1 to {LARGEST:,}, got {image_size!r}")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"the seed of the splits must be a whole number in 0 … 2³²−1, got {seed!r:.60}")
    preprocessing = Preprocessing.of(mean, std, transform)
    found = accepted(*read(name))
    if isinstance(found, RawData):
        return found.build(seed=seed, image_size=image_size, preprocessing=preprocessing)
    if preprocessing != BY_STATISTICS or image_size not in (None, found.image_size):
        raise ValueError(
            f"data {found.name!r} comes prepared (ImageData, or loaders): leave mean, std, transform and image_size out"
        )
    return found


def read(data: Any) -> tuple[Any, str]:
    """What a reader gives, or the data themselves, and how they are called. ValueError if they cannot be had."""
    reader, argument = DATA.find(data)
    name = data if isinstance(data, str) else getattr(data, "__name__", "own data")
    return returned_by(partial(reader, argument) if argument else reader, f"data {name!r}"), name
