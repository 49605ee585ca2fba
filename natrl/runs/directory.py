"""The run directory: settings, Tune's files, policy, versions; metrics are natrl.runs.metrics'."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from natrl import __version__
from natrl.documents import check_shape, read_json
from natrl.evaluation.ledger.file import copy_ledger, read_ledger
from natrl.files.locks import LOCK, locked
from natrl.files.paths import quote
from natrl.files.writing import check_new, write_json
from natrl.policies.storage import copy_policy, policy_folder
from natrl.runs.settings import RunSettings

__all__ = [
    "CONFIG",
    "NETWORK",
    "PLAN",
    "START",
    "begun",
    "check_new_run",
    "check_run_or_sweep",
    "check_versions",
    "create_run",
    "is_worth_keeping",
    "ledger_file",
    "make_directory",
    "publish_policy",
    "read_config",
    "read_document_of",
    "results_file",
    "started",
    "tune_dir",
    "versions",
]

CONFIG = "config.json"  # makes a directory a run
PLAN = "sweep.json"  # makes it a sweep
START = "start"  # in a run, what it goes on from
NETWORK = "network"  # the group of config.json that makes a run natrl.optimize's


def tune_dir(run: Path) -> Path:
    """Where Tune keeps its experiment: checkpoints, logs, results."""
    return run / "tune"


def results_file(run: Path) -> Path:
    """Tune's results, one JSON object a line and iteration.

    (Tune's progress.csv beside it breaks on resume: the columns of the rows after it differ from its header.)
    """
    return tune_dir(run) / "trial" / "result.json"


def ledger_file(run: Path) -> Path:
    """Every evaluation that a run or sweep paid for (natrl.evaluation.ledger.file); a supernet's are not kept."""
    return run / "evaluations.db"


def started(settings: RunSettings, run: Path) -> RunSettings:
    """The settings, where they go on from another run from the copy in this one: that one may change, or go."""
    return replace(settings, start=str(run / START)) if settings.start else settings


def create_run(run: Path, settings: RunSettings, command: str, **groups: Mapping[str, Any]) -> Path:
    """Makes the directory and writes config.json, with more groups. ValueError if there is something in it already.

    What the run goes on from is copied into it: a policy, and paid evaluations if there are any.
    """
    make_directory(run)
    if settings.start:
        source, target = Path(settings.start), run / START
        copy_policy(policy_folder(source), target / "policy")
        if ledger_file(source).is_file():
            copy_ledger(ledger_file(source), ledger_file(target))
    document = {"settings": settings.to_dict(), **groups, "command": command, "versions": versions()}
    write_json(run / CONFIG, document)
    return run


def read_config(run: Path) -> dict[str, Any]:
    """config.json of a run, "settings" in it. ValueError if the directory is not a run, or its settings cannot be."""
    document = read_document_of("run", run, CONFIG, "settings")
    try:
        RunSettings.from_dict(document["settings"])
    except ValueError as error:
        raise ValueError(f"{run / CONFIG}: {error}") from None
    return document


def check_run_or_sweep(directory: Path) -> None:
    """ValueError if the directory is neither."""
    read_document_of("run or sweep", directory, PLAN if (directory / PLAN).exists() else CONFIG)


def read_document_of(kind: str, directory: Path, name: str, *groups: str) -> dict[str, Any]:
    """The JSON document that makes a directory what `kind` says, with "versions" and the groups asked for.

    ValueError in one line if it cannot be read, or a group is missing.
    """
    try:
        document = read_json(directory / name)
    except ValueError as error:
        reason = str(error).removeprefix(f"{directory}{os.sep}")
        raise ValueError(f"{directory} is not a {kind} directory: {reason}") from None
    made_with = document.setdefault("versions", {})
    check_shape(document, dict.fromkeys(("versions", *groups), dict), str(directory / name))
    check_shape(made_with, dict.fromkeys(made_with, str), f"{directory / name}: versions")
    return document


def check_new_run(directory: Path) -> None:
    """ValueError if there is something in the directory already, or if it cannot be made."""
    check_new(directory, f"choose another --out, or continue it with --resume {quote(directory)}")


def make_directory(directory: Path) -> None:
    """Makes the directory of a run or sweep. ValueError if there is something in it already."""
    check_new_run(directory)
    directory.mkdir(parents=True, exist_ok=True)


@contextmanager
def begun(directory: Path) -> Iterator[None]:
    """A new directory, held for the body to begin something in. ValueError if there is something in it already.

    If the body fails before there is anything worth keeping, all is as it was before, and the same command can be given
    again.
    """
    with locked(directory):
        make_directory(directory)
        try:
            yield
        except Exception:
            if not is_worth_keeping(directory):
                for path in directory.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    elif path.name != LOCK:
                        path.unlink()
            raise


def is_worth_keeping(directory: Path) -> bool:
    """Whether there is something to go on with: a checkpoint, or evaluations that were more than looks into a table."""
    if any(tune_dir(directory).glob("*/checkpoint_*")):
        return True
    try:
        return bool((read_ledger(ledger_file(directory))["kind"] != "table").any())
    except (KeyError, OSError, ValueError):
        return False


def check_versions(directory: Path, made_with: Mapping[str, str]) -> None:
    """ValueError if a run or sweep cannot be gone on with, because another natrl or Ray made it.

    Tune's state and RLlib's checkpoints are read by the minor version (2.60) of Ray that wrote them.
    """
    present = versions()
    for package in ("natrl", "ray"):
        then, now = made_with.get(package, "unknown"), present[package]
        if "unknown" not in (then, now) and then.split(".")[:2] != now.split(".")[:2]:
            raise ValueError(
                f"{directory} was made with {package} {then}, and this is {package} {now}: go on with it under "
                f"pip install {package}=={then}, or start anew"
                + (f" with natrl train --config {quote(directory / CONFIG)}" if (directory / CONFIG).exists() else "")
            )


def publish_policy(run: Path, checkpoint: Path) -> Path:
    """Copies the policy of a checkpoint to policy/ of the run; one that is there gives way at one stroke."""
    copy_policy(checkpoint / "policy", run / "policy")
    return run / "policy"


def versions() -> dict[str, str]:
    """Versions of what results depend on, and the git revision of a checkout."""
    found = {"python": platform.python_version(), "natrl": __version__}
    for package in ("ray", "torch", "gymnasium"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    try:
        root = Path(__file__).resolve().parent
        git = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        found["git"] = subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        found["git"] = "unknown"
    return found
