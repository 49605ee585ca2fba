"""A run's metrics from the results that Tune writes, whole or torn by a kill."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from natrl.runs.metrics import read_iterations


def row(iteration: int, reward: float = 0.0) -> str:
    return json.dumps({"episodes": 7, "training_iteration": iteration, "reward_mean": reward})


@pytest.mark.parametrize(
    ("text", "iterations"),
    [
        ("", []),
        (f"{row(1)}\n{row(2)}\n", [1, 2]),
        (f"{row(1)}\n{row(2)[:20]}", [1]),  # a kill
        (f"{row(1)}\n{row(2)[:20]}{row(2)}\n{row(3)}\n", [1, 3]),  # and what came after it
        (f"{row(2, 0.5)}\n{row(1)}\n{row(2, 0.75)}\n", [1, 2]),  # repeated after a kill
    ],
)
def test_whole_rows_are_read(tmp_path: Path, text: str, iterations: list[int]) -> None:
    (tmp_path / "result.json").write_text(text)
    rows = read_iterations(tmp_path / "result.json")
    assert [r["training_iteration"] for r in rows] == iterations
    if "0.75" in text:
        assert rows[1]["reward_mean"] == 0.75, "the last one counts"


class Grows(io.RawIOBase):
    """A file that another process writes: what a reader gets, and ends there or goes on where it waits for more."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        part = self.parts.pop(0) if self.parts else b""
        buffer[: len(part)] = part
        return len(part)


def test_a_line_that_ends_while_it_is_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "result.json").touch()
    text = f"{row(1)}\n{row(2)}\n".encode()
    growing = io.BufferedReader(Grows(text[:-20], b"", text[-20:]))
    monkeypatch.setattr("natrl.runs.metrics.open_file", lambda file: growing)
    assert [r["training_iteration"] for r in read_iterations(tmp_path / "result.json")] == [1]


@pytest.mark.parametrize("text", ["\0\0\0", "noise\n", f"{row(1)}\n{row(2)[:20]}\n", f"{row(1)}\n[1]\n"])
def test_what_no_kill_leaves_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match=r"result\.json, line \d"):
        read_iterations(tmp_path / "result.json")


def test_a_link_to_nothing_is_no_empty_run(tmp_path: Path) -> None:
    assert read_iterations(tmp_path / "result.json") == []
    (tmp_path / "result.json").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"result\.json cannot be read"):
        read_iterations(tmp_path / "result.json")
