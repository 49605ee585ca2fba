"""What an optimization writes down as it goes, so that it can go on after a kill and pays for nothing twice.

optimize.json (what it was asked), evaluations.db (scores of candidates), Tune's files with the policy's checkpoints,
and finalists/ (each network as soon as it is fine-tuned).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import safe_open, SafetensorError
from safetensors.numpy import save_file

from natrl.core.architecture import Architecture
from natrl.data import ImageData
from natrl.digests import digest
from natrl.documents import shown
from natrl.files.writing import check_new, replacing, write_json
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.budget import Budget
from natrl.policies.limits import Limits
from natrl.runs.directory import check_versions, OPTIMIZATION, read_document_of, versions
from natrl.training.fine_tuning import Tuned
from natrl.training.fitting import Measured
from natrl.tuning.modules.settings import OptimizeSettings
from natrl.tuning.resuming import check_same

__all__ = ["Journal", "request"]

RESOURCES = ("actors", "num_cpus", "num_gpus")
DIGESTS = ("weights", "network", "images", "policy")  # what a request knows by its digest


def request(
    space: ModuleSpace, data: ImageData, limits: Limits, settings: OptimizeSettings, policy: Policy | None
) -> dict[str, Any]:
    """All that the result depends on, JSON-ready; not on what it runs.

    Network, images and a policy that was learned before are known by what they hold (natrl.digests).
    """
    document = {
        "model": space.name,
        "weights": digest(dict(space.model.state_dict())),
        "network": digest(space.model),
        "example": [list(tensor.shape) for tensor in space.example],
        "data": data.name,
        "images": data.digest,
        "budget": asdict(limits),
        "settings": {name: value for name, value in asdict(settings).items() if name not in RESOURCES},
        "policy": None if policy is None else digest((policy.network, policy.rule, policy.cost)),
    }
    return json.loads(json.dumps(document))


class Journal:
    """The directory of an optimization."""

    def __init__(self, directory: Path, document: dict[str, Any]) -> None:
        self.directory = directory
        self._document = document

    @classmethod
    def begin(cls, directory: Path, asked: dict[str, Any], budget: Budget) -> Journal:
        """In a new directory, which `keep_steps` makes; `budget`: what the policy learns under.

        ValueError if there is something in it.
        """
        check_new(directory, "choose another directory, or go on with what is there by resume")
        return cls(directory, {**asked, "found": {**asdict(budget), "steps": None}, "versions": versions()})

    @classmethod
    def resume(cls, directory: Path, asked: dict[str, Any]) -> Journal:
        """Of what was begun there. ValueError if nothing was, or something else than what is asked now.

        More iterations may be asked for.
        """
        begun = read_document_of("natrl.optimize", directory, OPTIMIZATION, "found")
        found = [begun["found"].get(name, "") for name in ("madds", "params", "steps")]
        if not all(value is None or (isinstance(value, int | float) and value >= 0) for value in found):
            raise ValueError(f"{directory / OPTIMIZATION}: what was found out must be numbers, got {shown(found)}")
        check_versions(directory, begun.get("versions", {}))
        for field in asked:
            if field not in begun:
                raise ValueError(
                    f"{directory} was begun by an older natrl, which did not write down its {field}: begin anew in "
                    "another directory"
                )
        then = {field: begun[field] for field in asked}
        check_same(directory, then, asked, iterations="settings.learn.iterations", digests=DIGESTS)
        return cls(directory, begun | asked)

    @property
    def budget(self) -> Budget:
        """What the policy learns under. (Measured again, a limit on latency would be another number of MAdds.)"""
        return Budget(self._document["found"]["madds"], self._document["found"]["params"])

    @property
    def steps(self) -> int | None:
        """Steps of training before a candidate is scored, once that was found out."""
        return self._document["found"]["steps"]

    def keep_steps(self, steps: int) -> None:
        """Writes down what was asked and found out: from here on there is something to go on with."""
        self._document["found"]["steps"] = steps
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json(self.directory / OPTIMIZATION, self._document)

    def tuned(self, architecture: Architecture) -> Tuned | None:
        """A finalist that was fine-tuned before; None if it was not."""
        file = self._file(architecture)
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="numpy") as stored:
                figures = json.loads(stored.metadata()["figures"])
                state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # it has no iteration
            return Tuned(Measured(**figures["validation"]), None, state, figures["seconds"])
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ValueError(f"{file} is damaged ({error!r:.100}): delete it, and it is fine-tuned again") from None

    def keep(self, architecture: Architecture, tuned: Tuned) -> None:
        """Writes a finalist down, whole or not at all."""
        figures = {"validation": tuned.validation._asdict(), "seconds": tuned.seconds}
        file = self._file(architecture)
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as fresh:
            save_file(tuned.state, fresh, metadata={"figures": json.dumps(figures), "key": architecture.key})

    def _file(self, architecture: Architecture) -> Path:
        name = sha256(architecture.key.encode()).hexdigest()[:16]
        return self.directory / "finalists" / f"{name}.safetensors"
