"""Lines of progress where there is no terminal."""

from __future__ import annotations

import io
import re
import threading
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from natrl.tuning import progress
from natrl.tuning.progress import follow, progress_bar, ProgressLine, steps, SweepLine, Throttle, working


def test_at_most_one_a_period():
    times = iter([5.0, 5.9, 6.0, 6.5, 8.0])
    due = Throttle(1.0, lambda: next(times))
    assert [due() for _ in range(5)] == [True, False, True, False, True]


@pytest.fixture
def written(monkeypatch):
    """What is written where standard error is no terminal, on a clock that advances by 0.4 s a reading."""
    file, clock = io.StringIO(), iter(range(1000))
    monkeypatch.setattr(progress, "Console", lambda **options: Console(file=file, width=200))
    monkeypatch.setattr(Throttle.__init__, "__defaults__", (1.0, lambda: 0.4 * next(clock)))
    return file


def test_lines_of_a_run(written):
    with follow(None, "policy", 9):
        for iteration in range(1, 10):
            result = {"training_iteration": iteration, "reward_mean": 0.01 * iteration, "cost_ratio": 0.5}
            ProgressLine().on_trial_result(iteration, [], None, result)
    *lines, bar = written.getvalue().splitlines()
    news = [re.sub(r"  \d:\d\d left", "", line) for line in lines]
    assert news == ["policy 0/9", *(f"policy {i}/9  reward +{0.01 * i:.4f}  cost 0.50" for i in (1, 4, 7))]
    assert [" left  " in line for line in lines] == [False, False, True, True]  # two make a pace
    assert bar.split()[2] == "9/9"


def test_what_takes_long_is_not_silent_where_there_is_no_terminal(monkeypatch, written):
    """A line every 0.05 s says what is under way, and for how long."""
    monkeypatch.setattr(progress, "PERIOD_S", 0.01)
    monkeypatch.setattr(progress, "SILENT_S", 0.05)
    with progress_bar() as bar:
        deadline, (watch,) = time.monotonic() + 10, [t for t in threading.enumerate() if "_watch" in t.name]
        with working(bar, "first"):
            pass
        with working(bar, "second"):
            while written.getvalue().count("\nsecond 0/1  0:00\n") < 3:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    watch.join(10)
    assert not watch.is_alive(), "it goes on when all is done"


def trial(status, **last):
    return SimpleNamespace(status=status, last_result=last, is_finished=lambda: status in ("TERMINATED", "ERROR"))


def test_the_line_of_a_sweep(written):
    trials = [trial("TERMINATED", reward_mean=0.3), trial("RUNNING", reward_mean=0.2), trial("ERROR"), trial("PENDING")]
    with follow(None, "trials", 4):
        SweepLine("reward_mean", "min").on_trial_complete(1, trials, trials[1])
    assert written.getvalue().splitlines()[:2] == [
        "trials 0/4",
        "trials 3/4  0 running  1 failed  best reward_mean 0.2000",
    ]


def test_the_time_left_is_shown_as_soon_as_there_is_a_pace(monkeypatch):
    """A step in 20 s: of six, two are done after 40."""
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True)
    now = [0.0]
    console.get_time = lambda: now[0]
    with progress_bar(console) as bar:
        bar.get_time = console.get_time
        for _ in steps(bar, "answers", "abcdef", 6):
            if now[0] == 40:
                bar.refresh()
                assert "1:20 left" in file.getvalue()
            now[0] += 20
        with working(bar, "times"):
            now[0] += 5
        bar.refresh()
    last = file.getvalue().rpartition("answers")[2]
    assert "6/6" in last
    assert "2:00" in last  # how long it took
    assert "0:05" in last
    assert list(steps(None, "answers", "ab", 2)) == ["a", "b"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "0:00"), (5.9, "0:05"), (96, "1:36"), (723, "12:03"), (3600, "1:00:00"), (90_000, "1 day, 1:00:00")],
)
def test_durations_are_short(seconds, text):
    assert progress._clock(seconds) == text
