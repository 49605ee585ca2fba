"""natrl transform"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.commands.networks import is_reference, transform_network
from natrl.commands.options import Json, Picture, Seed
from natrl.commands.show import ArchitectureArgument
from natrl.genotypes import parse

if TYPE_CHECKING:
    from natrl.architecture import Architecture
    from natrl.policies import Candidates

__all__ = ["transform"]


def transform(
    architecture: ArchitectureArgument,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="A run directory, or a policy folder. Networks need none: one is trained on them.", metavar="RUN"
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Sampled candidates, besides the most probable one.", metavar="N")] = 10,
    max_madds: Annotated[
        str | None, typer.Option(help="Budget: a number, or a share of the original such as 80%.", metavar="X")
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(help="Budget: a number, or a share of the original such as 80%.", metavar="X")
    ] = None,
    max_latency: Annotated[
        str | None,
        typer.Option(help="Budget, for networks: seconds for one image on this machine, or a share.", metavar="X"),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set, for networks: what they were trained on.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="State_dict of a network, .safetensors or by torch.save.", metavar="FILE"),
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Images are scaled to this many pixels.", metavar="N")] = None,
    evaluator: Annotated[
        str,
        typer.Option(
            help="Who chooses among the candidates by validation score: none (the policy alone), run (the run's "
            "evaluator with its trained weights), table:NAME or table:FILE.",
            metavar="KIND",
        ),
    ] = "none",
    seed: Seed = 0,
    picture: Picture = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the chosen architecture as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Apply a policy: the chosen architecture, each change and its saving.

    Example: natrl transform DARTS --policy runs/first --max-madds 80%

    A trained network, torchvision:NAME, timm:NAME or module:function, needs its data instead: what replaces its layers
    is learned on it, and fine-tuned.
    Example: natrl transform mymodule:build_model --data cifar10 --max-madds 80% -o out
    """
    if is_reference(architecture):
        budget = {"madds": max_madds, "params": max_params, "latency": max_latency}
        transform_network(
            architecture,
            data=data,
            image_size=image_size,
            weights=weights,
            budget={kind: limit for kind, limit in budget.items() if limit is not None},
            policy=policy,
            candidates=n,
            seed=seed,
            out=out,
            as_json=as_json,
        )
        return
    if policy is None:
        raise ValueError("--policy RUN is needed: natrl train makes one")
    from natrl.policies import load_policy

    arch = parse(architecture)
    learned = load_policy(policy)
    scorer = _evaluator(evaluator, policy)
    candidates = learned.transform(arch, n=n, evaluator=scorer, max_madds=max_madds, max_params=max_params, seed=seed)
    if out is not None:
        out.write_text(candidates.best.to_json() + "\n", encoding="utf-8")
    if picture is not None:
        from natrl.drawing.architectures import draw

        draw(candidates.best, picture, before=arch, skeleton=learned.space.skeleton)
    if as_json:
        print(json.dumps(_document(arch, candidates)))
        return
    _print(arch, candidates)


def _evaluator(kind: str, run: Path) -> Any:
    if kind == "none":
        return None
    if kind.startswith("table:"):
        from natrl.evaluation import load_table

        return load_table(kind.removeprefix("table:"))
    if kind != "run":
        raise ValueError(f"unknown evaluator {kind!r}; known: none, run, table:NAME, table:FILE")
    from natrl.tuning.restore import restored_evaluator

    return restored_evaluator(run)


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


def _print(before: Architecture, candidates: Candidates) -> None:
    from natrl.report.tables import change_table

    console = Console()
    old, new = candidates.costs[0], candidates.costs[candidates.best_index]
    console.print(change_table(before, candidates.best, candidates.skeleton))
    console.print(
        f"parameters {old.params:,} → {new.params:,} ({new.params / old.params:.0%}), "
        f"MAdds {old.madds:,} → {new.madds:,} ({new.madds / old.madds:.0%}); "
        f"best of {len(candidates)} candidates",
        highlight=False,
    )
    console.print(candidates.best.key, highlight=False, soft_wrap=True)
