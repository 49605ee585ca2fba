"""Augmentation draws for each image, by its generator, and does what its settings allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from natrl.data import Augmentation

AUGMENTATIONS = st.builds(
    Augmentation, padding=st.integers(0, 5), flip=st.booleans(), cutout=st.integers(0, 12), fill=st.just((-2.0,))
)
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


def pixels(*shape: int) -> Tensor:
    """Images of which no two values are equal, none of them 0."""
    return torch.arange(1.0, 1 + np.prod(shape)).view(shape)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(AUGMENTATIONS, SHAPES, st.integers(0, 1000))
def test_shape_type_and_repetition(augment: Augmentation, shape: tuple[int, ...], seed: int) -> None:
    images = pixels(*shape)
    kept, state = images.clone(), torch.get_rng_state()
    first, again = (augment(images, generator(seed)) for _ in range(2))
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert torch.equal(first, again)
    assert torch.equal(images, kept), "the images themselves must not change"
    assert torch.equal(torch.get_rng_state(), state), "the global random state must not move"


@given(SHAPES, st.integers(0, 1000))
def test_nothing_changes_unless_something_is_allowed(shape: tuple[int, ...], seed: int) -> None:
    assert torch.equal(Augmentation()(pixels(*shape), generator(seed)), pixels(*shape))
    assert not Augmentation()
    assert Augmentation(flip=True)


def test_flips_mirror_half_of_the_images_and_nothing_else() -> None:
    images = pixels(400, 2, 3, 5)
    flipped = Augmentation(flip=True)(images, generator())
    mirrored = (flipped == images.flip(3)).all(dim=(1, 2, 3))
    same = (flipped == images).all(dim=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


@given(st.integers(0, 1000), st.integers(1, 4))
def test_without_flip_columns_keep_their_order(seed: int, padding: int) -> None:
    """A crop shows the columns from left to right: values rise along a row wherever the image is shown."""
    shown = Augmentation(padding=padding, fill=(-1.0,))(pixels(8, 1, 6, 6), generator(seed))
    steps = shown.diff(dim=3)
    inside = (shown[..., 1:] > 0) & (shown[..., :-1] > 0)
    assert (steps[inside] == 1).all()


def test_crops_are_windows_of_the_padded_image() -> None:
    images, padding = pixels(300, 2, 4, 4), 2
    augment = Augmentation(padding=padding, fill=(-1.0, -2.0))
    shown = augment(images, generator())
    padded = torch.stack([torch.nn.functional.pad(images[:, c], (2, 2, 2, 2), value=-1.0 - c) for c in range(2)], 1)
    windows = {
        (i, j): (shown == padded[:, :, i : i + 4, j : j + 4]).all(dim=(1, 2, 3)) for i in range(5) for j in range(5)
    }
    assert torch.stack(list(windows.values())).any(0).all()
    assert all(found.any() for found in windows.values()), "every offset is drawn"


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_cutout_clears_one_square_that_the_border_may_cut(side: int) -> None:
    images = pixels(200, 3, 7, 7)
    cut = Augmentation(cutout=side)(images, generator())
    cleared = cut == 0
    assert torch.equal(cut[~cleared], images[~cleared])
    assert (cleared == cleared[:, :1]).all(), "the same square in every channel"
    rows, columns = cleared[:, 0].any(2).sum(1), cleared[:, 0].any(1).sum(1)
    assert torch.equal(rows * columns, cleared[:, 0].sum((1, 2))), "a full rectangle"
    assert rows.max() == columns.max() == side
    assert rows.min() >= side // 2
    assert len(cut.unique(dim=0)) == 200
    assert len(cleared[:, 0].unique(dim=0)) > 20, "each image has its own square"


@pytest.mark.parametrize(
    "settings", [{"padding": -1}, {"cutout": 1.5}, {"padding": True}, {"cutout": 10**30}, {"flip": "x"}, {"fill": 3}]
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"augmentation: {next(iter(settings))} must be "):
        Augmentation(**settings)


def test_images_need_four_dimensions() -> None:
    with pytest.raises(ValueError, match="got 3 dimensions"):
        Augmentation(flip=True)(pixels(3, 4, 4), generator())
