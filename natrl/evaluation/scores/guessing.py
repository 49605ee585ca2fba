"""Whether a network's answers have anything to do with what it was asked."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from natrl.data import batches
from natrl.evaluation.scores.measured import MeasuredScore
from natrl.evaluation.scores.named import NamedScore
from natrl.training.modes import in_mode

__all__ = ["guessing"]

EXAMPLES = {"pixels": 32}  # of labels of that kind, whose outputs take much memory
MOST = 256  # examples of any other
TURNS = 10


@torch.inference_mode()
def guessing(named: NamedScore, network: nn.Module, dataset: Dataset, *, seed: int) -> tuple[float, float]:
    """The score on some examples, and the highest of ten where each answer is held against another example's label.

    What says nothing of its inputs scores alike in both, whatever the metric, and however frequent the labels are.
    """
    few = TensorDataset(*next(batches(dataset, EXAMPLES.get(named.labels, MOST), shuffle_seed=seed)))
    with in_mode(network, training=False):
        outputs, labels = zip(*MeasuredScore(named, few).answers(network), strict=True)
    sizes, whole = [len(part) for part in labels], torch.cat(labels)

    def turned(by: int) -> float:
        return named.metric(zip(outputs, whole.roll(by, 0).split(sizes), strict=True))

    return turned(0), max(turned(1 + turn) for turn in range(min(TURNS, len(whole) - 1)))
