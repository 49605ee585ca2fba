"""Made-up scores, and reachable sets by brute force."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

import natrl
from natrl.core.architecture import Architecture
from natrl.core.transitions import Rule
from natrl.evaluation import Evaluator

SPACE = natrl.space("nasbench201")
WORTH = {"conv_3x3": 0.9, "conv_1x1": 0.3, "avg_pool_3x3": 0.1, "skip_connect": 0.5, "null": 0.2}


class Scores(Evaluator):
    """Scores by a function, and remembers what was asked."""

    def __init__(self, score: Callable[[Architecture], float]) -> None:
        self.score = score
        self.asked: list[Architecture] = []

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        self.asked += architectures
        return np.array([self.score(a) for a in architectures])


def rugged(architecture: Architecture) -> float:
    """A score that says nothing about neighbours, in [0, 1)."""
    return int.from_bytes(hashlib.sha256(architecture.key.encode()).digest()[:4], "big") / 2**32


def smooth(architecture: Architecture) -> float:
    """A score that is the mean of what each operation is worth."""
    return sum(WORTH[op] for op in architecture.operations) / len(architecture.operations)


def reachable(architecture: Architecture, rule: Rule = "nat++") -> set[Architecture]:
    """Every live architecture in the box of the masks (all of the box for a dead architecture), one by one."""
    rows = SPACE.masks(architecture, rule)
    choices = product(*(np.array(SPACE.primitives, dtype=object)[row] for row in rows))
    everything = (architecture.with_operations(operations) for operations in choices)
    return {a for a in everything if a.is_live or not architecture.is_live}


def nasbench201(digits: str) -> Architecture:
    """From the benchmark's six digits: 0 null, 1 skip, 2 conv 1×1, 3 conv 3×3, 4 average pooling."""
    return natrl.core.genotypes.nasbench201_architecture(digits)
