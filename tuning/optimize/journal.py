"""What an optimization writes down besides its run, so that it can go on after a kill and pays for nothing twice.

config.json (of the run, and what was asked), finalists/ (each network as soon as it is fine-tuned), and traceback.txt
of a function of the user's that raised, whose error itself is one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import safe_open, SafetensorError
from safetensors.numpy import save_file

from natrl.core.architecture import Architecture
from natrl.digests import digest
from natrl.documents import check_shape
from natrl.evaluation.user_code import FunctionError
from natrl.files.writing import replacing, write_atomically
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.limits import Limits
from natrl.runs.directory import check_versions, CONFIG, is_worth_keeping, NETWORK, read_document_of
from natrl.spaces.budget import Budget
from natrl.training.fine_tuning import Tuned
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.tasks import Task
from natrl.tuning.resuming import check_same

__all__ = ["begun_document", "found_before", "keep_tuned", "kept_traceback", "request", "tuned_before"]

#: Of an evaluator: on what it runs, and what is the call's.
NOT_ASKED = ("actors", "num_cpus", "num_gpus", "timeout", "max_attempts", "space", "data", "seed")
#: Settings that runs of before do not have, and what they did.
LATER = {"moves": "types,kernels,ranks,branches", "width_multiple": 1, "tune_original": False}
FINALISTS = "finalists"  # the folder of those that were fine-tuned
TRACEBACK = "traceback.txt"
HEAT = "heat"  # in there: that of those that were for their first epoch
DIGESTS = ("weights", "network", "images", "score", "tune", "policy")  # what a request knows by its digest


def request(
    space: ModuleSpace, task: Task, limits: Limits, settings: OptimizeSettings, policy: Policy | None
) -> dict[str, Any]:
    """All that the result depends on, JSON-ready; not on what it runs.

    Network, images, functions and a policy that was learned before are known by what they hold (natrl.digests).
    """
    asked = settings.to_dict()
    asked = {name: value for name, value in asked.items() if (name, value) not in LATER.items()}
    asked["evaluator"] = {name: value for name, value in asked["evaluator"].items() if name not in NOT_ASKED}
    document = {
        "model": space.name,
        "weights": digest(dict(space.model.state_dict())),
        "network": digest(space.model),
        "example": [list(tensor.shape) for tensor in space.example],
        **task.identity(),
        "budget": asdict(limits),
        "settings": asked,
        "policy": None if policy is None else digest((policy.network, policy.rule, policy.cost)),
    }
    return json.loads(json.dumps(document))


def begun_document(directory: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """config.json of what was begun there. ValueError if nothing was, or something else than what is asked now.

    More iterations may be asked for, and another training by `tune` as long as nothing was trained by that: one that
    failed can be mended.
    """
    if (directory / "optimize.json").exists():
        raise ValueError(f"{directory} was begun by an older natrl, before 0.2: begin anew in another directory")
    document = read_document_of("natrl.optimize", directory, CONFIG, "settings", NETWORK)
    check_versions(directory, document["versions"])
    then = document[NETWORK]
    if "tune" in then and "tune" in asked and not (directory / FINALISTS).is_dir():
        then = {**then, "tune": asked["tune"]}
    check_same(directory, then, asked, iterations="settings.learn.iterations", digests=DIGESTS)
    return document


def found_before(directory: Path, document: Mapping[str, Any]) -> tuple[Budget, int | None]:
    """What the policy learns under, and the steps of training before a score, both as they were found out.

    (Measured again, a limit on latency would be another number of MAdds.)
    """
    where, settings = str(directory / CONFIG), document["settings"]
    check_shape(settings, {"budget": dict, "evaluator": {"steps": int | None}}, where)
    try:
        return Budget(**settings["budget"]), settings["evaluator"]["steps"]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def tuned_before(directory: Path, architecture: Architecture, *, heat: bool = False) -> Tuned | None:
    """A finalist that was fine-tuned before, to the end or (`heat`) for its first epoch; None if it was not."""
    file = _file(directory, architecture, heat)
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="numpy") as stored:
            figures = json.loads(stored.metadata()["figures"])
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # it has no iteration
        score = figures["score"] if "score" in figures else figures["validation"]["accuracy"]
        return Tuned(state, float(score))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(f"{file} is damaged ({error!r:.100}): delete it, and it is fine-tuned again") from None


def keep_tuned(directory: Path, architecture: Architecture, tuned: Tuned, *, heat: bool = False) -> None:
    """Writes a finalist down, whole or not at all."""
    figures = {"score": tuned.score, "seconds": tuned.seconds}
    file = _file(directory, architecture, heat)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as fresh:
        save_file(tuned.state, fresh, metadata={"figures": json.dumps(figures), "key": architecture.key})


def _file(directory: Path, architecture: Architecture, heat: bool) -> Path:
    name = sha256(architecture.key.encode()).hexdigest()[:16]
    return directory / FINALISTS / (HEAT if heat else "") / f"{name}.safetensors"


@contextmanager
def kept_traceback(run: Path) -> Iterator[None]:
    """Where the body ends by a function of the user's that raised, the traceback is written, and its file is named.

    It is in the run's directory, or beside it where that has nothing to go on with, and is free for the same call.
    """
    try:
        yield
    except FunctionError as error:
        if not error.traceback:
            raise
        file = run / TRACEBACK if is_worth_keeping(run) else run.with_name(f"{run.name}-{TRACEBACK}")
        write_atomically(file, error.traceback)
        raise ValueError(f"{error}; its traceback is in {file}") from error
