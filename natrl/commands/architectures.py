"""natrl transform, for an architecture: what a policy makes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TYPE_CHECKING

from rich.console import Console

from natrl.commands.options import check_new, check_picture
from natrl.core.genotypes import parse
from natrl.files.paths import quote
from natrl.spaces import Space

if TYPE_CHECKING:
    from natrl.core.architecture import Architecture
    from natrl.policies import Candidates

__all__ = ["build_scorer", "transform_architecture"]

CANDIDATES = 10


def transform_architecture(
    text: str,
    *,
    policy: Path | None,
    n: int | None,
    evaluator: str | None,
    max_madds: str | None,
    max_params: str | None,
    seed: int,
    shape: Mapping[str, Any],
    picture: Path | None,
    out: Path | None,
    onnx: bool,
    as_json: bool,
) -> None:
    """Applies the policy, and prints, draws and writes what it chose; `shape`: given sizes of the skeleton."""
    if policy is None:
        raise ValueError("--policy RUN is needed: natrl train makes one")
    check_new(out)
    check_picture(picture)
    from natrl.export.folder import export_architecture
    from natrl.export.onnx_file import check_onnx
    from natrl.policies import load_policy
    from natrl.policies.pretrained import card, PRETRAINED, pretrained_for, shipped
    from natrl.runs.scores import predicted_scores

    if onnx:
        check_onnx()
    architecture = parse(text)
    if str(policy) == PRETRAINED and not policy.exists():
        policy = Path(pretrained_for(architecture))
    learned = load_policy(policy)
    skeleton = replace(learned.space.skeleton, **shape)
    slots = len(architecture.operations)
    scorer = predicted_scores(policy, slots) if evaluator is None else build_scorer(evaluator, policy, learned.space)
    candidates = learned.transform(
        architecture,
        n=CANDIDATES if n is None else n,
        evaluator=scorer,
        max_madds=max_madds,
        max_params=max_params,
        seed=seed,
        skeleton=skeleton,
    )
    if picture is not None:
        from natrl.drawing.architectures import draw

        draw(candidates.best, picture, before=architecture, networks=candidates.space)
    files = [] if out is None else export_architecture(candidates.best, skeleton, out, onnx=onnx)
    if as_json:
        print(json.dumps(_document(architecture, candidates)))
        return
    _print(architecture, candidates, "" if evaluator or scorer is None else " by the scores that its run has paid for")
    if (name := shipped(policy)) is not None:
        print(f"{policy} was learned from {card(name)['learned from']}")
    if out is not None:
        print(f"{out}: {', '.join(file.name for file in files)}")
        file = quote(out / "architecture.json")
        print(f"next: natrl evaluate {file} --export DIR   (trains it and keeps the weights)")


def build_scorer(kind: str, run: Path, space: Space) -> Any:
    """The evaluator of that kind, which may also be none, run or model."""
    if kind == "none":
        return None
    if kind == "model":
        from natrl.runs.scores import predicted_scores

        if (found := predicted_scores(run)) is None:
            raise ValueError(f"--evaluator model: {run} has paid for too few scores that predict others; leave it out")
        return found
    if kind == "run":
        from natrl.tuning.restore import restored_evaluator

        return restored_evaluator(run)
    from natrl.evaluation.rewards import build_evaluator, REWARDS

    try:
        REWARDS.get(kind)
    except ValueError as error:
        raise ValueError(f"{error}; an evaluator may also be none, model or run") from None
    return build_evaluator(kind, space=space)


def _document(before: Architecture, candidates: Candidates) -> dict[str, Any]:
    after = candidates.best
    old, new = candidates.costs[0], candidates.costs[candidates.best_index]
    return {
        "before": before.to_dict(),
        "after": after.to_dict(),
        "key": after.key,
        "params": [old.params, new.params],
        "madds": [old.madds, new.madds],
        "changes": [
            {
                "slot": change.index,
                "before": change.before,
                "after": change.after,
                "saved_params": change.saving.params,
                "saved_madds": change.saving.madds,
            }
            for change in candidates.changes()
        ],
        "candidates": len(candidates),
    }


def _print(before: Architecture, candidates: Candidates, how: str) -> None:
    from natrl.report.tables import change_table

    console = Console()
    old, new = candidates.costs[0], candidates.costs[candidates.best_index]
    console.print(change_table(before, candidates.best, candidates.space))
    console.print(
        f"parameters {old.params:,} → {new.params:,} ({new.params / old.params:.0%}), "
        f"MAdds {old.madds:,} → {new.madds:,} ({new.madds / old.madds:.0%}); "
        f"best of {len(candidates)} candidates{how}",
        highlight=False,
    )
    console.print(candidates.best.key, highlight=False, soft_wrap=True)
