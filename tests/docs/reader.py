"""A reader of one page: its blocks in order, in one folder, with what a checkout holds beside."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import typer
from packaging.requirements import Requirement

from natrl.cli import app
from tests.commands.cli import run
from tests.docs.pages import INLINE, Piece, ROOT
from tests.docs.shared import once
from tests.docs.shell import Program, run_script, write_programs
from tests.docs.smaller import PARSED, smaller, smaller_file

__all__ = ["FILE", "Reader", "check_make", "check_pip"]

CHECKOUT = ("benchmarks", "examples", "tuning", "Makefile", "pyproject.toml")
FILE = re.compile(r"# ([\w.-]+)\n")  # the first line of a block that is a file


class Reader:
    """Runs a page; `folder` is where the reader stands."""

    def __init__(self, folder: Path, files: Sequence[Path] = ()) -> None:
        self.folder = folder / "a checkout"
        self.blocks, self.calls = folder / "blocks", folder / "calls"
        for made in (self.folder, self.blocks, self.calls):
            made.mkdir()
        for name in CHECKOUT:
            (self.folder / name).symlink_to(ROOT / name)
        for file in files:
            (self.folder / file.name).symlink_to(file)
        self.printed: dict[str, str] = {}  # by Python blocks

    def read(self, page: Sequence[Piece]) -> None:
        """AssertionError, or what was raised, where a block does not work as it is written."""
        environment = self.folder / ".venv" / "bin"
        write_programs(("natrl", "python", "pip", "ray"), environment)
        write_programs(("make", "kubectl"), self.folder.parent / "bin")
        (environment / "activate").write_text(f"PATH={shlex.quote(str(environment))}:$PATH\n")
        shown = "".join(piece.text for piece in page if piece.language == "sh")
        script = "".join(self._lines(piece, shown) for piece in page)
        path = [self.folder.parent / "bin", *([] if ".venv/bin/activate" in script else [environment])]
        programs: dict[str, Program] = {"natrl": self._natrl, "python": self._python}
        programs |= {name: _parsed(name) for name in ("pip", "ray", "make", "kubectl")}
        run_script(script, self.folder, programs, path=path, calls=self.calls)

    def _lines(self, piece: Piece, shown: str) -> str:
        """What the shell does for a block, or for a benchmark in running text that no block shows."""
        benchmark = re.search(r"benchmarks/\w+\.py", piece.text)
        is_new = piece.language == INLINE and benchmark is not None and benchmark[0] not in shown
        if piece.language == "sh" or is_new:
            return piece.text.rstrip() + "\n"
        if piece.language == "python":
            block = self.blocks / f"{piece.line}.py"
            block.write_text(piece.text)
            return f"python {shlex.quote(str(block))}\n"
        if file := FILE.match(piece.text):
            (self.folder / file[1]).write_text(smaller_file(piece.text))
        return ""

    def _natrl(self, arguments: list[str]) -> int:
        command = shlex.join(["natrl", *arguments])
        if _reason(command):
            _understood(arguments)
            return 0
        small = [*arguments, *smaller(command).split()]
        print("$", shlex.join(["natrl", *small]))
        return once(["natrl", *small], lambda: run(*small))

    def _python(self, arguments: list[str]) -> int:
        if arguments[:2] == ["-m", "natrl"]:
            return self._natrl(arguments[2:])
        script, *options = arguments
        is_block = Path(script).parent == self.blocks
        small = options if is_block else [*options, *smaller(shlex.join(["python", *arguments])).split()]
        print("$", shlex.join(["python", script, *small]))
        folder = Path.cwd() if is_block else Path(script).parent.absolute()
        with _as_main(script, small, folder), _tee() as printed:
            code = once(["python", script, *small], lambda: _run_file(script))
        self.printed[Path(script).name] = printed.getvalue()
        return code


def _understood(arguments: Sequence[str]) -> None:
    """The usage error of a command line that natrl does not understand."""
    name, *rest = arguments
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, list(rest))


def _reason(command: str) -> str | None:
    """Why a command is read and not run."""
    return next((reason for pattern, reason in PARSED.items() if re.search(pattern, command)), None)


def _parsed(name: str) -> Program:
    def check(arguments: list[str]) -> int:
        command = shlex.join([name, *arguments])
        assert _reason(command), f"why is this not run? {command}"
        _CHECKS[name](arguments)
        return 0

    return check


def check_make(verbs: list[str]) -> None:
    done = subprocess.run(
        ["/usr/bin/env", "make", "--dry-run", *verbs], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install"
    for option, package in pairwise(arguments):
        if option == "-r":
            assert (ROOT / package).is_file(), package
        elif not package.startswith(("-", ".")):
            assert Requirement(package).name != "natrl", "natrl is not on PyPI"


def _check_ray(arguments: list[str]) -> None:
    from ray.scripts.scripts import cli

    verb, *options = arguments
    ours = options[options.index("--") + 1 :] if "--" in options else []
    if verb == "job":
        assert options[0] == "submit"
        assert ours[:3] == ["python", "-m", "natrl"]
        return _understood(ours[3:])
    assert verb in cli.commands
    for file in options[: options.index("--") if ours else None]:
        assert (ROOT / file).is_file(), file
    return _understood(["train", *ours]) if ours else None


def _check_kubectl(arguments: list[str]) -> None:
    assert arguments[0] in ("apply", "get")
    assert all((ROOT / text).is_file() for text in arguments if text.endswith(".yaml"))


_CHECKS = {"make": check_make, "pip": check_pip, "ray": _check_ray, "kubectl": _check_kubectl}


def _run_file(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@contextmanager
def _as_main(script: str, arguments: Sequence[str], folder: Path) -> Iterator[None]:
    """As `python script arguments`, whose imports are looked for in the folder first; what it imports there goes."""
    before = sys.argv, sys.path[:]
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(f"{folder}/"):
                del sys.modules[name]


@contextmanager
def _tee() -> Iterator[io.StringIO]:
    """What is printed, which is printed when the body ends."""
    copy = io.StringIO()
    try:
        with contextlib.redirect_stdout(copy):
            yield copy
    finally:
        print(copy.getvalue(), end="")
