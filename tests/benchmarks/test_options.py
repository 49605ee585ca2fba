"""What a benchmark refuses: in one line, before anything is measured."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from natrl.checks.fields import Count, Positive, Seed

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
SCRIPTS = sorted(file for file in BENCHMARKS.glob("*.py") if not file.name.startswith("_"))


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr("sys.argv", ["/somewhere/rivals.py"])


@pytest.fixture
def parser():
    options = import_module("_options")
    parser = options.Parser("What it does.")
    parser.add_argument("--rate", type=options.number(Positive))
    parser.add_argument("--epochs", type=options.number(Count))
    parser.add_argument("--seeds", type=options.numbers(Seed))
    parser.add_argument("--budget", type=options.percentage)
    return parser


def test_values_are_read(parser):
    found = parser.parse_args(["--rate", "0.5", "--epochs", "3", "--seeds", "0,7", "--budget", "0.7"])
    assert vars(found) == {"rate": 0.5, "epochs": 3, "seeds": (0, 7), "budget": "70%"}
    assert parser.parse_args(["--budget", "62.5%"]).budget == "62.5%"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--rate", "-1", "must be above 0, got '-1'"),
        ("--rate", "fast", "must be a number, got 'fast'"),
        ("--epochs", "0", "must be at least 1, got '0'"),
        ("--epochs", "1.5", "must be a whole number, got '1.5'"),
        ("--seeds", "0,-1", "must be at least 0, got '-1'"),
        ("--budget", "half", "must be a share of the original such as 70%, got 'half'"),
        ("--budget", "170%", "must be a share of the original such as 70%, got '170%'"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(parser, capsys, option, value, said):
    with pytest.raises(SystemExit) as left:
        parser.parse_args([option, value])
    text = capsys.readouterr().err
    assert left.value.code == 2
    assert text == f"rivals.py: argument {option}: {said} (--help has all options)\n"


def test_what_natrl_refuses_is_one_line_and_a_mistake_keeps_its_traceback(capsys):
    run = import_module("_options").run
    from natrl.data import load_data

    with pytest.raises(SystemExit) as left:
        run(lambda: load_data("nope", seed=0))
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("rivals.py: unknown data 'nope'; known: digits,")
    with pytest.raises(SystemExit) as left:
        run(lambda: {}["nothing"])
    assert left.value.code == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.stem)
def test_every_benchmark_is_run_so(script):
    text = script.read_text()
    assert "\n    run(main)\n" in text
    assert "ArgumentParser(" not in text
    assert not re.search(r"add_argument\([^)]*[ (]type=(int|float)\b(?!, choices)", text)
