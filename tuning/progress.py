"""Progress of runs and sweeps: a bar on a terminal; elsewhere, as in the log of a Ray job, a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ray.tune import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from natrl.news import is_quiet

__all__ = ["PERIOD_S", "ProgressLine", "SweepLine", "Throttle", "follow", "follow_trials", "progress_bar"]

PERIOD_S = 1.0  # the bar is drawn and a line is written at most so often


def progress_bar(console: Console | None = None) -> Progress:
    """The bar that all long commands show, on standard error; nothing where natrl is to be quiet (natrl.news)."""
    console = console or Console(stderr=True, quiet=is_quiet())
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        refresh_per_second=1 / PERIOD_S,
        transient=False,
    )


class Throttle:
    """Says whether `period` seconds of `clock` have passed since it last said so; the first time always."""

    def __init__(self, period: float = PERIOD_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._period, self._clock = period, clock
        self._last = float("-inf")

    def __call__(self) -> bool:
        now = self._clock()
        if now - self._last < self._period:
            return False
        self._last = now
        return True


#: Where news of the run in this process is shown. Tune pickles its callbacks, so the bar cannot be part of one.
_sinks: list[Callable[[int, str], None]] = []


@contextmanager
def _following(progress: Progress | None, description: str, total: int) -> Iterator[None]:
    """Shows what Tune's callbacks below say during the body, in the bar given or in one of its own."""
    due = Throttle()
    with nullcontext(progress) if progress else progress_bar() as bar:
        task = bar.add_task(description, total=total, note="")

        def show(completed: int, note: str) -> None:
            bar.update(task, completed=completed, note=note)
            if not bar.console.is_terminal and due():
                bar.console.print(f"{description} {completed}/{total}  {note}", highlight=False, soft_wrap=True)

        _sinks.append(show)
        try:
            yield
        finally:
            _sinks.remove(show)


def follow(progress: Progress | None, iterations: int) -> Any:
    """A context in which `ProgressLine` shows a run of so many iterations."""
    return _following(progress, "policy", iterations)


def follow_trials(trials: int) -> Any:
    """A context in which `SweepLine` shows a sweep of so many trials."""
    return _following(None, "trials", trials)


class ProgressLine(Callback):
    """Passes the results of Tune's trial on to `follow`."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Called by Tune after each iteration."""
        shown = (("reward", "reward_mean", "+.4f"), ("entropy", "entropy", ".2f"), ("cost", "cost_ratio", ".2f"))
        note = "  ".join(f"{label} {result[key]:{form}}" for label, key, form in shown if key in result)
        for show in _sinks:
            show(result["training_iteration"], note)


class SweepLine(Callback):
    """Passes the state of Tune's trials on to `follow_trials`: how many ended and run, the best last result."""

    def __init__(self, metric: str, mode: str) -> None:
        self._metric, self._best_of = metric, max if mode == "max" else min

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Called by Tune after each iteration of a trial."""
        self._show(trials)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune just before a trial's status says that it ended."""
        self._show(trials, ending=trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune when a trial fails for the last time."""
        self._show(trials, ending=trial)

    def _show(self, trials: list[Any], ending: Any = None) -> None:
        ended = sum(trial.is_finished() or trial is ending for trial in trials)
        failed = sum(trial.status == "ERROR" for trial in trials)
        running = sum(trial.status == "RUNNING" and trial is not ending for trial in trials)
        values = [t.last_result[self._metric] for t in trials if t.last_result and self._metric in t.last_result]
        notes = [f"{running} running"] + [f"{failed} failed"] * (failed > 0)
        notes += [f"best {self._metric} {self._best_of(values):.4f}"] if values else []
        for show in _sinks:
            show(ended, "  ".join(notes))
