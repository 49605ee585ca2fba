"""README and docs: Python blocks run as they stand, and every natrl command line is one that natrl understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from natrl.cli import app
from natrl.spaces import registry
from tests.commands.cli import output

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (f"{page.name}:{i}", text)
        for page in PAGES
        for i, (kind, text) in enumerate(BLOCK.findall(page.read_text()))
        if kind == language
    ]


def commands() -> list[str]:
    lines = [line for _, text in blocks("sh") for line in text.splitlines()]
    return [line for line in lines if line.startswith("natrl ")]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in blocks("python")])
def test_python_blocks_run(text, tmp_path, monkeypatch):
    """Each as a main program of its own, in an empty folder; a space that it registers is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_SPACES", dict(registry._SPACES))
    exec(compile(text, "block", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("line", commands())
def test_command_lines_are_understood(line):
    name, *arguments = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments)


def test_links_within_the_repository_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_there_is_something_to_check():
    assert len(blocks("python")) >= 10
    assert len(commands()) >= 20


#: Appended to README's commands, so that they take seconds: the last value of an option counts.
SMALL = {
    "train": "--iterations 2 --batch-size 16",
    "evaluate": "--seeds 1 --channels 4 --cells 1",
    "rank": "-n 16 --queries 12",
}


def test_what_readme_says_to_use_works(ray_session, tmp_path, monkeypatch, capsys):
    """Its commands, one after the other in one folder, on a small scale; takes some 15 s."""
    monkeypatch.chdir(tmp_path)
    (lines,) = [text.splitlines() for name, text in blocks("sh") if name.startswith("README") and "natrl show" in text]
    for line in lines:
        arguments = shlex.split(line, comments=True)[1:]
        smaller = "" if "--resume" in arguments else SMALL.get(arguments[0], "")
        assert output(capsys, *arguments, *smaller.split()), line
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
