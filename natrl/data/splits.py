"""Stratified splits, fixed by a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["stratified_split"]


def stratified_split(labels: np.ndarray, held_out: Sequence[int], *, seed: int) -> tuple[np.ndarray, ...]:
    """Indices of the training part, then of each held-out part, for labels (N,).

    The parts have the sizes in `held_out` (the rest is for training), are disjoint, cover everything and hold each
    class in its proportion. The last part is drawn first. ValueError where a part would be smaller than the number of
    classes, or a class has fewer images than there are parts.
    """
    from sklearn.model_selection import train_test_split  # slow to import

    classes, counts = np.unique(labels, return_counts=True)
    parts = 1 + len(held_out)
    if counts.min(initial=parts) < parts:
        rare = int(np.argmin(counts))
        raise ValueError(f"class {classes[rare]!s} has {counts[rare]} image(s); {parts} parts need at least {parts}")
    sizes = (len(labels) - sum(held_out), *held_out)
    if min(sizes) < len(classes):
        shown = ", ".join(map(str, sizes))
        raise ValueError(f"too few images: parts of {shown} images cannot each hold {len(classes)} classes")
    rest = np.arange(len(labels))
    parts_from_last = []
    for size in reversed(held_out):
        rest, part = train_test_split(rest, test_size=size, stratify=labels[rest], random_state=seed)
        parts_from_last.append(np.sort(part))
    return (np.sort(rest), *reversed(parts_from_last))
