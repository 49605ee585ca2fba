"""Where a user's own traceback is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from natrl.checks.errors import for_users
from natrl.evaluation.user_code import FunctionError
from natrl.tuning.optimize import tracebacks
from natrl.tuning.optimize.journal import kept_traceback


def failing() -> None:
    try:
        {}["labels"]
    except KeyError as error:
        raise FunctionError("tune(network) raised KeyError: 'labels'", error) from error


@pytest.mark.parametrize("begun", [True, False])
def test_in_the_run_or_beside_one_that_is_free_for_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    run = tmp_path / "out"
    run.mkdir()
    monkeypatch.setattr(tracebacks, "is_worth_keeping", lambda _: begun)
    file = run / "traceback.txt" if begun else tmp_path / "out-traceback.txt"
    with (
        pytest.raises(ValueError, match=f"raised KeyError: 'labels'; its traceback is in {file}") as caught,
        kept_traceback(run),
    ):
        failing()
    assert "KeyError: 'labels'" in file.read_text()
    assert for_users(caught.value)
    assert [path.name for path in run.iterdir()] == ["traceback.txt"] * begun


def test_what_has_none_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FunctionError, match=r"it returned str$"), kept_traceback(tmp_path / "out"):
        raise FunctionError("tune(network) must return None or the network, it returned str")
    assert not [*tmp_path.iterdir()]
