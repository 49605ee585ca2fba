"""Lines of progress where there is no terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from natrl.tuning import progress
from natrl.tuning.progress import follow, follow_trials, ProgressLine, SweepLine, Throttle


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
    with follow(None, 9):
        for iteration in range(1, 10):
            result = {"training_iteration": iteration, "reward_mean": 0.01 * iteration, "cost_ratio": 0.5}
            ProgressLine().on_trial_result(iteration, [], None, result)
    *lines, bar = written.getvalue().splitlines()
    assert lines == [f"policy {i}/9  reward +{0.01 * i:.4f}  cost 0.50" for i in (1, 4, 7)]
    assert bar.split()[2] == "9/9"


def trial(status, **last):
    return SimpleNamespace(status=status, last_result=last, is_finished=lambda: status in ("TERMINATED", "ERROR"))


def test_the_line_of_a_sweep(written):
    trials = [trial("TERMINATED", reward_mean=0.3), trial("RUNNING", reward_mean=0.2), trial("ERROR"), trial("PENDING")]
    with follow_trials(4):
        SweepLine("reward_mean", "min").on_trial_complete(1, trials, trials[1])
    assert written.getvalue().splitlines()[0] == "trials 3/4  0 running  1 failed  best reward_mean 0.2000"
