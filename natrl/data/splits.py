"""Stratified splits. Which images are for the test depends on the data alone, which for validation on a seed, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["TEST_SEED", "stratified_split"]

TEST_SEED = 0  # of what is drawn for the test: whatever a command's seed, no test image is trained or chosen on


def stratified_split(labels: np.ndarray, held_out: Sequence[int], *, seed: int) -> tuple[np.ndarray, ...]:
    """Indices of the training part, then of each held-out part, for labels (N,).

    The parts have the sizes in `held_out` (the rest is for training), are disjoint, cover everything and hold each
    class in its proportion. Of several parts the last one is for the test: it is drawn first, by TEST_SEED, so that it
    is the same for every seed. ValueError where a part would be smaller than the number of
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
    for number, size in enumerate(reversed(held_out)):
        is_test = number == 0 and len(held_out) > 1
        rest, part = train_test_split(
            rest, test_size=size, stratify=labels[rest], random_state=TEST_SEED if is_test else seed
        )
        parts_from_last.append(np.sort(part))
    return (np.sort(rest), *reversed(parts_from_last))
