"""Evaluators that use the ledger: what it knows is not evaluated, what is evaluated is written down at once."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from natrl.core.architecture import Architecture
from natrl.evaluation.base import check_scores, Evaluator, FailedEvaluations
from natrl.evaluation.ledger.file import LEASE_S, Ledger, Paid, settings_text
from natrl.evaluation.wrapper import EvaluatorWrapper

if TYPE_CHECKING:
    from natrl.evaluation.ledger.shared import SharedLedger

__all__ = ["LedgerEvaluator", "RecordingEvaluator", "behind_ledger"]

POLL_S = 0.2  # between looks for a score that somebody else is paying for


class _OfLedger(EvaluatorWrapper):
    """Around an evaluator whose settings name its scores in the ledger."""

    def __init__(self, inner: Evaluator, ledger: Ledger | SharedLedger) -> None:
        settings = inner.settings()
        if settings is None:
            raise ValueError(f"scores of {type(inner).__name__} may change, so a ledger cannot keep them")
        super().__init__(inner)
        self.ledger = ledger
        self._settings = settings_text(settings)


class RecordingEvaluator(_OfLedger):
    """Writes each score into the ledger before anybody learns of it; `chunk` evaluations at a time.

    It runs where the evaluation runs: a score is safe as soon as it is computed, whatever happens to the driver then.
    """

    def __init__(self, inner: Evaluator, ledger: Ledger | SharedLedger, *, chunk: int = 1) -> None:
        super().__init__(inner, ledger)
        self._chunk = chunk

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). What was evaluated before one that raises is stored. FailedEvaluations after all others."""
        scores = np.empty(len(architectures))
        failures: dict[str, str] = {}
        for start in range(0, len(architectures), self._chunk):
            part = slice(start, start + self._chunk)
            scores[part], failed = self._pay(architectures[part])
            failures |= failed
        if failures:
            raise FailedEvaluations(failures, scores)
        return scores

    def _pay(self, part: Sequence[Architecture]) -> tuple[np.ndarray, dict[str, str]]:
        start = time.perf_counter()
        known = self.ledger.known(self._settings, [a.key for a in part])  # by an actor that died before it answered
        new = [a for a in part if a.key not in known]
        scores, failures = _evaluated(self.inner, new) if new else (np.empty(0), {})
        seconds = (time.perf_counter() - start) / len(part)
        fine = {a: score for a, score in zip(new, scores.tolist(), strict=True) if a.key not in failures}
        check_scores(np.array(list(fine.values())), list(fine), self.metric)
        if fine:
            self.ledger.put(self._settings, [Paid(a.key, score, seconds) for a, score in fine.items()])
        found = known | {a.key: score for a, score in fine.items()}
        return np.array([found.get(a.key, np.nan) for a in part]), failures


def _evaluated(inner: Evaluator, architectures: Sequence[Architecture]) -> tuple[np.ndarray, dict[str, str]]:
    """Scores float64 (N,), NaN where an architecture was given up, and the reasons of those."""
    try:
        return np.asarray(inner.evaluate(architectures), dtype=np.float64), {}
    except FailedEvaluations as error:
        return error.scores, error.failures


class LedgerEvaluator(_OfLedger):
    """Asks the ledger first, and passes on only what nobody has paid for or is paying for at this moment.

    What is passed on must be recorded there (`RecordingEvaluator`, here or in actors): others wait for it. `hits`
    counts the architectures that the ledger answered.
    """

    def __init__(self, inner: Evaluator, ledger: Ledger | SharedLedger) -> None:
        super().__init__(inner, ledger)
        self.hits = 0
        self._owner = uuid.uuid4().hex

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). FailedEvaluations as the wrapped evaluator raises it, with what the ledger knows filled in."""
        open_ = {a.key: a for a in architectures}
        scores: dict[str, float] = {}
        failures: dict[str, str] = {}
        while open_:
            known, mine = self.ledger.claim(self._settings, list(open_), self._owner)
            self.hits += len(known)
            scores |= known
            if mine:
                paid, failed = self._pay([open_[key] for key in mine])
                scores |= paid
                failures |= failed
            elif not known:
                time.sleep(POLL_S)
            open_ = {key: a for key, a in open_.items() if key not in scores and key not in failures}
        values = np.array([scores.get(a.key, np.nan) for a in architectures], dtype=np.float64)
        if failures:
            raise FailedEvaluations(failures, values)
        return values

    def _pay(self, mine: list[Architecture]) -> tuple[dict[str, float], dict[str, str]]:
        """Scores and failures of what this evaluator has claimed."""
        keys = [a.key for a in mine]
        with self._claimed(keys):
            values, failures = _evaluated(self.inner, mine)
        return {key: v for key, v in zip(keys, values.tolist(), strict=True) if key not in failures}, failures

    @contextmanager
    def _claimed(self, keys: list[str]) -> Iterator[None]:
        """Renews the claims during the body, and gives them back."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_S / 6):
                with suppress(OSError):  # the next write says so where it is heard
                    self.ledger.renew(self._settings, keys, self._owner)

        thread = threading.Thread(target=renew, daemon=True)
        if not isinstance(self.ledger, Ledger):  # nobody else waits for what one process claims
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.is_alive():
                thread.join()
            self.ledger.release(self._settings, keys, self._owner)

    def statistics(self) -> dict[str, float]:
        """`ledger_hits`, and those of the wrapped evaluator."""
        return {"ledger_hits": self.hits, **super().statistics()}


def behind_ledger(
    build: Callable[[], Evaluator],
    path: Path | str,
    *,
    chunk: int = 1,
    on_actors: Callable[[Callable[[], Evaluator]], Evaluator] | None = None,
) -> LedgerEvaluator:
    """What `build` makes, behind the ledger at that path, which is shared where Ray runs.

    `on_actors` puts what records its scores onto Ray actors (`PoolEvaluator`); None: it stays in this process.
    """
    from natrl.evaluation.ledger.shared import open_ledger

    ledger = open_ledger(path)
    paying = partial(_recording, build, ledger, chunk)
    return LedgerEvaluator(on_actors(paying) if on_actors else paying(), ledger)


def _recording(build: Callable[[], Evaluator], ledger: Ledger | SharedLedger, chunk: int) -> RecordingEvaluator:
    return RecordingEvaluator(build(), ledger, chunk=chunk)
