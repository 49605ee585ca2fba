"""natrl front"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from natrl.commands.architectures import build_scorer
from natrl.commands.options import check_picture, Json, Picture, Seed
from natrl.commands.settings_options import Options
from natrl.commands.show import ArchitectureArgument
from natrl.core.genotypes import parse
from natrl.runs.front import FrontSettings
from natrl.spaces import Skeleton

__all__ = ["front"]


def front(
    architecture: ArchitectureArgument,
    *,
    policy: Annotated[Path, typer.Option(help="A run directory, or a policy folder.", metavar="RUN")],
    given: Annotated[dict[str, Any], Options(FrontSettings, "budgets resource evaluator evaluations")],
    seed: Seed = 0,
    shape: Annotated[dict[str, Any], Options(Skeleton, "channels? cells? num_classes? image_size?", "Network")],
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """The trade-off of one architecture: what the policy makes of it within each budget, and the Pareto front.

    Scores are predicted from what the run has paid for, where it has; --evaluator scores the answers, and random
    transformations within the same budgets. A policy that was trained with --budgets keeps to every one.
    Example: natrl front VGG --policy runs/first --evaluator table:nasbench201 --picture front.png
    """
    asked = FrontSettings(**given)
    if asked.evaluations is not None and asked.evaluator == "none":
        raise ValueError("--evaluations limits what --evaluator KIND scores: give that too")
    check_picture(picture)
    from rich.console import Console

    from natrl.policies import load_policy
    from natrl.policies.front import front as trade_off
    from natrl.runs.scores import score_model

    learned = load_policy(policy)
    before = parse(architecture)
    model = score_model(policy, len(before.operations))
    if picture is not None and asked.evaluator == "none" and model is None:
        raise ValueError(f"--picture shows scores, and {policy} has paid for none: give --evaluator KIND too")
    shaped = learned.on(learned.space.on(replace(learned.space.skeleton, **shape))) if shape else learned
    found = trade_off(
        shaped,
        before,
        budgets=asked.budgets,
        resource=asked.resource,
        evaluator=build_scorer(asked.evaluator, policy, learned.space),
        evaluations=asked.evaluations,
        model=model,
        seed=seed,
    )
    if picture is not None:
        from natrl.drawing.architectures import picture_kind, save_figure
        from natrl.report.front import front_figure

        save_figure(front_figure(found), picture, picture_kind(picture))
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    from natrl.report.front import front_table

    Console().print(front_table(found))
