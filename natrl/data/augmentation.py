"""Augmentation of whole batches: crop with padding, horizontal flip, cutout.

torchvision's transforms draw once for a batch, and one image at a time costs more here than training on it; so
the three transforms are one gather with a draw for each image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_doc import Doc
from torch import Tensor

from natrl.checks.fields import check_fields, Pixels

__all__ = ["Augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image; the default is nothing.

    As in DARTS (Liu et al. 2019) for 32×32 images: `Augmentation(padding=4, flip=True, cutout=16)`.
    """

    padding: Annotated[Pixels, Doc("Pixels on each side before a crop to the old size.")] = 0
    flip: Annotated[bool, Doc("Mirror half of the images (wrong for digits and letters).")] = False
    cutout: Annotated[Pixels, Doc("Side of the square that is set to 0, the mean of normalised images.")] = 0
    fill: Annotated[tuple[float, ...], Doc("Value of the padding, one number or one a channel.")] = (0.0,)

    def __post_init__(self) -> None:
        check_fields(self, "augmentation: ")

    def __bool__(self) -> bool:
        """True where an image can change."""
        return bool(self.padding or self.flip or self.cutout)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (N, C, H, W), floating, augmented each by its own draw from the generator (on the CPU)."""
        if images.dim() != 4:
            raise ValueError(f"augmentation needs images (N, C, H, W), got {images.dim()} dimensions")
        n, _, height, width = images.shape

        def draw(high: int) -> Tensor:
            return torch.randint(high, (n, 1), generator=generator).to(images.device)

        rows = torch.arange(height, device=images.device).expand(n, -1)  # (N, H): the row that each row shows
        columns = torch.arange(width, device=images.device).expand(n, -1)  # (N, W)
        if self.padding:
            rows = rows + draw(2 * self.padding + 1) - self.padding
            columns = columns + draw(2 * self.padding + 1) - self.padding
        if self.flip:
            columns = torch.where(draw(2) == 1, columns.flip(1), columns)
        if self.padding or self.flip:
            images = self._gather(images, rows, columns)
        if self.cutout:
            inside = self._span(draw(height), height)[:, :, None] & self._span(draw(width), width)[:, None, :]
            images = images.masked_fill(inside[:, None], 0.0)
        return images

    def _gather(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        n, channels, height, width = images.shape
        sample = torch.arange(n, device=images.device)[:, None, None]
        shown = images[sample, :, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
        shown = shown.permute(0, 3, 1, 2)  # (N, H, W, C) → (N, C, H, W), channels last in memory
        if not self.padding:
            return shown
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        fill = torch.tensor(self.fill, dtype=images.dtype, device=images.device).expand(channels)
        return torch.where(inside[:, None], shown, fill[None, :, None, None])

    def _span(self, centre: Tensor, size: int) -> Tensor:
        """bool (N, size): the pixels of one axis within the square around each centre (N, 1)."""
        offset = torch.arange(size, device=centre.device) - centre + self.cutout // 2
        return (offset >= 0) & (offset < self.cutout)
