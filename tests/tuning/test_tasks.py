"""Trainings as Ray tasks: done to the end, whatever becomes of machines."""

from __future__ import annotations

import importlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ray.exceptions import NodeDiedError

from natrl.evaluation.pool.losses import MOST_LOSSES
from natrl.tuning import tasks
from natrl.tuning.tasks import put, run_tasks

from ..machines import join, wait_for

pytestmark = pytest.mark.usefixtures("ray_session")


def double(number: int, wait: str = "") -> int:
    """Twice the number, as soon as the folder exists."""
    if wait:
        Path(wait, f"{os.getpid()}.here").touch()
    while wait and not Path(wait, "go").exists():
        time.sleep(0.02)
    if number < 0:
        raise ValueError("no number below 0")
    return 2 * number


def number_of(value) -> int:
    return value.number


def test_values_of_the_users_classes_are_put_where_workers_cannot_import_them(tmp_path, monkeypatch):
    (tmp_path / "only_the_driver_has_it.py").write_text("class Value:\n    number = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    value = importlib.import_module("only_the_driver_has_it").Value()
    assert run_tasks(number_of, [{"value": put(value)}], what="a number", num_cpus=0.5) == [3]


def test_results_in_order():
    told: dict[int, int] = {}
    calls = [{"number": n} for n in range(5)]
    assert run_tasks(double, calls, what="a sum", num_cpus=0.5, on_result=told.__setitem__) == [0, 2, 4, 6, 8]
    assert told == {n: 2 * n for n in range(5)}
    assert run_tasks(double, [], what="a sum") == []


def test_what_a_task_raises_is_raised():
    with pytest.raises(ValueError, match=r"^no number below 0$"):
        run_tasks(double, [{"number": 1}, {"number": -1}], what="a sum", num_cpus=0.5)


def test_a_machine_that_leaves_costs_no_retry(tmp_path, monkeypatch):
    """A real one, in an orderly way: Ray itself counts it. It takes a second each to join, start a worker and leave."""
    monkeypatch.setattr(tasks, "MAX_RETRIES", 0)
    call = {"number": 3, "wait": str(tmp_path)}
    leave = join(num_cpus=8)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(run_tasks, double, [call], what="a sum", num_cpus=8)
        wait_for(tmp_path, 1)
        leave(True)
        leave = join(num_cpus=8)
        wait_for(tmp_path, 2)
        (tmp_path / "go").touch()
        assert answer.result(timeout=60) == [6]
        leave(True)


def test_a_task_that_takes_every_machine_down_is_given_up(monkeypatch):
    asked = []

    def get(reference):
        asked.append(reference)
        raise NodeDiedError("gone")

    monkeypatch.setattr(tasks.ray, "get", get)
    with pytest.raises(RuntimeError, match=r"^a sum was lost again and again: NodeDiedError$"):
        run_tasks(double, [{"number": 1}], what="a sum", num_cpus=0.5)
    assert len(asked) == MOST_LOSSES + 1
