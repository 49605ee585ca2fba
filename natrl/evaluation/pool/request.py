"""One request to the pool: what waits, what failed how often, and the scores, each in its place."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from natrl.core.architecture import Architecture
from natrl.evaluation.base import FailedEvaluations
from natrl.evaluation.pool.losses import MOST_LOSSES

__all__ = ["Part", "Request"]

Part = tuple[int, ...]  # architectures that travel together, by their index in the request


class Request:
    """Architectures to be evaluated, in parts of up to `chunk`; each one's score is stored once.

    A part that fails is tried again, `max_attempts` times in all; one of several architectures is taken apart first, so
    that only those fail that must. A machine that left is nobody's fault and costs no attempt.
    """

    def __init__(self, architectures: Sequence[Architecture], *, chunk: int, max_attempts: int) -> None:
        self.architectures = architectures
        self.waiting: deque[Part] = deque(
            tuple(range(i, min(i + chunk, len(architectures)))) for i in range(0, len(architectures), chunk)
        )
        self._max_attempts = max_attempts
        self._attempts: Counter[int] = Counter()
        self._losses: Counter[Part] = Counter()
        self._failures: dict[str, str] = {}
        self._scores = np.full(len(architectures), np.nan)

    def of(self, part: Part) -> list[Architecture]:
        """The architectures of a part."""
        return [self.architectures[i] for i in part]

    def settle(self, part: Part, scores: np.ndarray) -> None:
        """Stores the scores of a part."""
        self._scores[list(part)] = scores

    def fail(self, part: Part, reason: str) -> None:
        """An attempt failed: the part waits again, at the front, or is given up."""
        if len(part) > 1:
            self.waiting.extendleft((i,) for i in reversed(part))
            return
        (i,) = part
        self._attempts[i] += 1
        if self._attempts[i] < self._max_attempts:
            self.waiting.appendleft(part)
        else:
            self._failures[self.architectures[i].key] = f"failed {self._attempts[i]} times: {reason}"

    def lose(self, part: Part, reason: str) -> None:
        """The machine that worked on it is gone: the part waits again, at the front."""
        self._losses[part] += 1
        if self._losses[part] > MOST_LOSSES:
            self.fail(part, reason)
        else:
            self.waiting.appendleft(part)

    def result(self) -> np.ndarray:
        """float64 (N,), when nothing waits any more. FailedEvaluations if some were given up."""
        if self._failures:
            raise FailedEvaluations(self._failures, self._scores)
        return self._scores
