"""Progress of long work: a bar on a terminal; elsewhere, as in the log of a Ray job, a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from threading import Event, Thread
from typing import Any, TypeVar

from ray.tune import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from natrl.news import is_quiet

__all__ = [
    "PERIOD_S",
    "ProgressLine",
    "SweepLine",
    "Throttle",
    "follow",
    "progress_bar",
    "steps",
    "working",
]

T = TypeVar("T")

PERIOD_S = 1.0  # the bar is drawn and a line is written at most so often
SILENT_S = 10.0  # … and without a bar at least so often


def progress_bar(console: Console | None = None) -> Progress:
    """The bar that all long commands show, on standard error; nothing where natrl is to be quiet (natrl.news)."""
    console = console or Console(stderr=True, quiet=is_quiet())
    return _Bars(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _TimeLeft(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[note]}"),
        console=console,
        refresh_per_second=1 / PERIOD_S,
        transient=False,
    )


def steps(progress: Progress | None, description: str, items: Iterable[T], total: int) -> Iterator[T]:
    """The items, as many as are shown to be done when the next one is asked for."""
    if progress is None:
        yield from items
        return
    task = progress.add_task(description, total=total, note="")
    for item in items:
        yield item
        progress.advance(task)


@contextmanager
def working(progress: Progress | None, description: str) -> Iterator[None]:
    """Shows that one thing is being done, whose parts are not known."""
    for _ in steps(progress, description, (None,), 1):
        yield


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


class _TimeLeft(ProgressColumn):
    """How long it will take at its pace; once it is done, or before there is a pace, how long it has taken."""

    def render(self, task: Task) -> Text:
        taken = task.finished_time if task.finished else task.elapsed
        return Text(_time_left(task) or _clock(taken), style="progress.remaining")


def _time_left(task: Task) -> str:
    """Empty where there is no pace yet, or nothing is left."""
    unknown = task.finished or task.time_remaining is None
    return "" if unknown else f"{_clock(task.time_remaining)} left"


def _clock(seconds: float | None) -> str:
    """A duration, short: "0:05", "12:03", "1:00:00"."""
    text = str(timedelta(seconds=int(seconds or 0)))
    return text.removeprefix("0:").removeprefix("0") if text.startswith("0:0") else text.removeprefix("0:")


class _Bars(Progress):
    """Bars; where there is no terminal to draw them on, a line now and then, and one where nothing else was written."""

    def __init__(self, *columns: ProgressColumn, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._due, self._said, self._ended = Throttle(), time.monotonic(), Event()

    def start(self) -> None:
        super().start()
        if not self.console.is_terminal:
            self._ended.clear()
            Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        super().stop()

    def add_task(self, *args: Any, **options: Any) -> TaskID:
        task = super().add_task(*args, **options)
        if not self.console.is_terminal:
            self._write_line(self._tasks[task])
        return task

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._write_if_due(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._write_if_due(task_id)

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD_S):
            under_way = [task for task in self.tasks if not task.finished]
            if under_way and time.monotonic() - self._said >= SILENT_S:
                self._write_line(under_way[-1], _clock(under_way[-1].elapsed))

    def _write_if_due(self, task_id: TaskID) -> None:
        if not self.console.is_terminal and self._due():
            self._write_line(self._tasks[task_id])

    def _write_line(self, task: Task, taken: str = "") -> None:
        self._said = time.monotonic()
        done = f"{task.description} {task.completed:g}/{task.total:g}"
        words = [done, _time_left(task) or taken, task.fields["note"]]
        self.console.print("  ".join(filter(None, words)), highlight=False, markup=False, soft_wrap=True)


#: Where news of the run in this process is shown. Tune pickles its callbacks, so the bar cannot be part of one.
_sinks: list[Callable[[int, str], None]] = []


@contextmanager
def follow(progress: Progress | None, description: str, total: int) -> Iterator[None]:
    """Shows what Tune's callbacks below say during the body, in the bar given or in one of its own.

    `total`: of a run iterations (`ProgressLine`), of a sweep trials (`SweepLine`).
    """
    with nullcontext(progress) if progress else progress_bar() as bar:
        task = bar.add_task(description, total=total, note="")

        def show(completed: int, note: str) -> None:
            bar.update(task, completed=completed, note=note)

        _sinks.append(show)
        try:
            yield
        finally:
            _sinks.remove(show)


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
    """Passes the state of Tune's trials on to `follow`: how many ended and run, the best last result."""

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
