"""What a user's function raises is said in one line, whatever it is."""

from __future__ import annotations

import pytest

from natrl.callables import returned_by

MODULE = """
import sys

def fine(): return 3
def leaves(): sys.exit(3)
def raises(): raise RuntimeError("two\\nlines")
def asserts(): assert False
def interrupted(): raise KeyboardInterrupt
def needs(argument): return argument
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    (tmp_path / "user_of_callables.py").write_text(MODULE)
    (tmp_path / "leaves_at_once.py").write_text("raise SystemExit")
    (tmp_path / "no_python.py").write_text("def")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("user_of_callables:leaves", "the function raised SystemExit: 3"),
        ("user_of_callables:raises", "the function raised RuntimeError: two lines"),
        ("user_of_callables:asserts", "the function raised AssertionError"),
        ("user_of_callables:needs", "the function raised TypeError: needs() missing 1 required positional argument"),
        ("user_of_callables:absent", "expected a function 'absent' in module 'user_of_callables', got nothing"),
        ("sys:exit", "the function raised SystemExit"),
        ("json:loads", "the function raised TypeError: loads() missing 1 required positional argument"),
        ("leaves_at_once:f", "the module raised SystemExit"),
        ("no_python:f", "the module raised SyntaxError"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        (":f", "Empty module name"),
    ],
)
def test_one_line_says_what_was_raised(user, target, message):
    with pytest.raises(ValueError, match=r"^data ") as raised:
        returned_by(target, "data")
    assert f"data {target!r}: {message}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_it_returns_and_an_interruption_pass(user):
    assert returned_by("user_of_callables:fine", "data") == 3
    with pytest.raises(KeyboardInterrupt):
        returned_by("user_of_callables:interrupted", "data")
