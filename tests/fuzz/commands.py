"""Command lines that cannot be: every option of every command with values of another kind or size."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import typer

from natrl.cli import app
from tests.fuzz.judging import Case
from tests.fuzz.workplace import ARCH

__all__ = ["command_cases"]

HUGE = "1" + 30 * "0"
TABLE = ("--space", "nasbench201", "--reward", "table:nasbench201")
NETWORK = ("transform", "usercode:network", "--data", "digits", "--max-madds", "80%")
#: A sound command line, to which one bad option is added.
SOUND: dict[str, tuple[tuple[str, ...], ...]] = {
    "demo": (("--quick",), ("network", "--quick"), ("cells", "--quick")),
    "show": (("DARTS",),),
    "train": ((*TABLE, "--iterations", "2", "--batch-size", "16", "--out", "new"),),
    "transform": ((ARCH, "--policy", "run"), (*NETWORK[1:], "-o", "new")),
    "optimize": ((*NETWORK[1:], "-o", "new"),),
    "evaluate": (("VGG", "--seeds", "1", "--cells", "1"),),
    "evaluations": (("run",),),
    "bench": (("nasbench201", "--methods", "random", "--seeds", "1", "--queries", "100"),),
    "rank": (
        (
            "--proxy",
            "surrogate",
            "--truth",
            "table:nasbench201",
            "--space",
            "nasbench201",
            "-n",
            "8",
            "--queries",
            "10",
        ),
    ),
    "sweep": (("sweep.json", "-o", "new"),),
    "report": (("run",),),
    "doctor": ((),),
}
OWNERS = {"demo": "door", "show": "door", "bench": "door", "rank": "door"}

WHOLE = ("-1", "1.5", "nan", "x", "", HUGE, "-" + HUGE, "0x10", "1e3", "None", "１２")
REAL = ("nan", "inf", "-inf", "-1", "x", "", "None", "-1e400")
NAMES = ("", "nonsense", "null", "[]", "{}", "nan", "a" * 5000, "\x1b[31mred", "..", "-", "😀")
FILES = ("", "missing", "missing/deep/file.json", "images", "fifo", "a" * 300, "/dev/null", "weights.pt", "usercode.py")
NEW = ("", "config.json", "config.json/below", "/dev/null", "/proc/new", "a" * 300)
BUDGETS = ("", "x", "nan", "-1", "-5%", "%", "80%%", "inf", "nan%", "1e400")

#: What an option takes, where its type alone does not say.
KINDS: dict[str, Sequence[str]] = {
    "--space": NAMES,
    "--reward": (
        *NAMES,
        "table:",
        "table:missing.csv",
        "table:images",
        "table:weights.pt",
        "table:nasbench201:cifar99",
        "table:fifo",
    ),
    "--column": ("", "nonsense", "null"),
    "--data": (
        *NAMES,
        "folder:",
        "folder:missing",
        "folder:config.json",
        "usercode:nothing",
        "usercode:raises",
        "usercode:leaves",
        "json:loads",
        "sys:exit",
        "no.such:thing",
        ":",
        "usercode:",
        ":digits",
        "usercode:value",
        "usercode:words",
        "usercode:asserts",
    ),
    "--metric": NAMES,
    "--algorithm": NAMES,
    "--head": NAMES,
    "--rule": NAMES,
    "--cost": NAMES,
    "--initial": (*NAMES, "pool:", "pool:0", "pool:-1", "pool:x", "pool:1.5", "pool:" + HUGE),
    "--baseline": NAMES,
    "--schedule": NAMES,
    "--methods": (*NAMES, ",", "random,nonsense", "random,random"),
    "--data-sets": NAMES,
    "--signal": ("", "nonsense"),
    "--report": ("", "nonsense"),
    "--table": FILES,
    "--proxy": NAMES,
    "--truth": (*NAMES, "table:", "table:missing.csv"),
    "--evaluator": (*NAMES, "table:", "table:missing.csv"),
    "--address": (),  # a Ray that runs in this process is taken, whatever the address
    "--mlflow": (),
    "--wandb": (),
    "--config": FILES,
    "--resume": FILES,
    "--policy": FILES,
    "--weights": FILES,
    "--out": NEW,
    "--export": NEW,
    "--csv": ("", "images", "missing/deep/x.csv", "config.json/below", "/proc/new.csv", "a" * 300),
    "--picture": ("", "x.txt", "images", "missing/deep/x.png", "config.json/x.png", "/proc/x.png", "a" * 300 + ".png"),
    "--max-madds": BUDGETS,
    "--max-params": BUDGETS,
    "--max-latency": BUDGETS,
    "--max-batch-latency": BUDGETS,
}
#: Where a value may be taken for what it is.
FINE = {
    ("bench", "--out", "/dev/null"),
    ("sweep", "--resume", "run"),
}
ARGUMENTS = {
    "show": (*NAMES, *FILES, "|x|", "Genotype(", "Genotype(normal=1)", "{", "[" * 10000, "{}", "DARTS:NAT"),
    "transform": (
        *NAMES,
        "|x|",
        "Genotype(",
        "usercode:number",
        "usercode:raises",
        "usercode:leaves",
        "torchvision:no",
        "timm:no",
        "no.such:f",
        "usercode:value",
        "usercode:needs",
        "usercode:closes",
        "usercode:deep",
    ),
    "evaluate": NAMES,
    "evaluations": FILES,
    "bench": NAMES,
    "sweep": (*NAMES, *FILES),
    "report": FILES,
}


def command_cases() -> Iterator[Case]:
    """Each with one thing that cannot be."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, lines in SOUND.items():
        types = inspect.signature(commands[name].callback, eval_str=True).parameters
        for line in lines:
            for option in commands[name].params:
                if option.opts[0].startswith("-") and not getattr(option, "is_flag", False):
                    yield from _option_cases(name, line, option.opts, str(types[option.name].annotation))
    for name, values in ARGUMENTS.items():
        first = SOUND[name][0][0]
        for value in values:
            line = [value if word == first else word for word in SOUND[name][0]]
            if "usercode" in value or ":" in value:
                line = [value, *NETWORK[2:], "-o", "new"] if name == "transform" else line
            yield _case(name, tuple(line), value)
    yield from (_case(name, (*line, "--nonsense"), "--nonsense") for name, lines in SOUND.items() for line in lines[:1])
    for text in ("", "nonsense", "trian", "--nonsense", "-x", "\x00"):
        yield Case(f"natrl {text!r}", "fuzz", (text,))


def _option_cases(name: str, line: tuple[str, ...], flags: Sequence[str], kind: str) -> Iterator[Case]:
    flag = max(flags, key=len)
    for value in _values(flag, kind):
        if (name, flag, value) not in FINE:
            rest = _without(line, flags)
            yield _case(name, (*rest, flag, value), f"{flag} {value[:40]!r}")


def _values(flag: str, kind: str) -> Sequence[str]:
    if flag in KINDS:
        return KINDS[flag]
    return WHOLE if "int" in kind else REAL if "float" in kind else ()


def _without(line: tuple[str, ...], flags: Sequence[str]) -> tuple[str, ...]:
    """The line without the option (a bad value takes its place)."""
    places = [i for i, word in enumerate(line) if word in flags]
    return tuple(word for i, word in enumerate(line) if i not in places and i - 1 not in places)


def _case(name: str, line: tuple[str, ...], what: str) -> Case:
    return Case(f"natrl {name} {line[0][:30] if line else ''} … {what[:60]}", OWNERS.get(name, "door"), (name, *line))
