"""A line of progress for a run, at most a few times a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ray.tune import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["ProgressLine", "follow", "progress_bar"]


def progress_bar(console: Console | None = None) -> Progress:
    """The bar that all long commands show, on standard error; off where that is no terminal."""
    console = console or Console(stderr=True)
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        refresh_per_second=4,
        transient=False,
    )


#: Where results of the run in this process are shown. Tune pickles its callbacks, so the bar cannot be part of one.
_sinks: list[Callable[[dict[str, Any]], None]] = []


@contextmanager
def follow(progress: Progress | None, iterations: int) -> Iterator[None]:
    """Shows what `ProgressLine` hears during the body, in the bar given or in one of its own."""
    with nullcontext(progress) if progress else progress_bar() as bar:
        task = bar.add_task("policy", total=iterations, note="")

        def show(result: dict[str, Any]) -> None:
            shown = (("reward", "reward_mean", "+.4f"), ("entropy", "entropy", ".2f"), ("cost", "cost_ratio", ".2f"))
            note = "  ".join(f"{label} {result[key]:{form}}" for label, key, form in shown if key in result)
            bar.update(task, completed=result["training_iteration"], note=note)

        _sinks.append(show)
        try:
            yield
        finally:
            _sinks.remove(show)


class ProgressLine(Callback):
    """Passes the results of Tune's trial on to the bar of `follow`."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Called by Tune after each iteration."""
        for show in _sinks:
            show(result)
