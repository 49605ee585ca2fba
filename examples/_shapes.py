"""Images that examples draw: squares, discs and crosses on noise, with the class of each pixel and a box a shape."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["CLASSES", "draw"]

CLASSES = 4  # background, square, disc, cross
SHAPES = (1, 2, 3)


def draw(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """n images float32 (n, 3, size, size) in [0, 1]; int64 (n, size, size); boxes x1, y1, x2, y2 float32 (n, 3, 4).

    Each image has one shape of each class, in this order, an eighth to a quarter of the image in radius; later ones
    cover those before.
    """
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    images, labels = torch.rand(n, 3, size, size, generator=random) * 0.6, torch.zeros(n, size, size, dtype=torch.int64)
    boxes = torch.zeros(n, len(SHAPES), 4)
    for i in range(n):
        for kind in SHAPES:
            y, x = torch.randint(size // 4, size - size // 4, (2,), generator=random).tolist()
            radius = int(torch.randint(size // 8, size // 4, (), generator=random))
            down, across = (rows - y).abs(), (columns - x).abs()
            inside = {
                1: torch.maximum(down, across) < radius,
                2: (down**2 + across**2) < radius**2,
                3: (torch.minimum(down, across) < size / 16) & (torch.maximum(down, across) < radius),
            }[kind]
            labels[i][inside] = kind
            images[i][:, inside] += 0.4 * torch.rand(3, 1, generator=random)
            boxes[i, kind - 1] = torch.tensor([x - radius + 1, y - radius + 1, x + radius, y + radius])
    return images, labels, boxes
