"""natrl train"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from natrl.commands.options import Actors, Address, Cells, Channels, Data, Gpus, invocation, Json, Seed, Verbose
from natrl.commands.show import resized
from natrl.evaluation.factory import EvaluatorSpec
from natrl.rllib.settings import LearnSettings
from natrl.spaces import space as find_space
from natrl.tuning.session import ray_session

__all__ = ["presets", "train"]


def train(
    space: Annotated[str, typer.Option(help="Space of architectures.", metavar="NAME")] = "darts",
    reward: Annotated[
        str, typer.Option(help="Evaluator: supernet, scratch, table:NAME or table:FILE.", metavar="KIND")
    ] = "supernet",
    column: Annotated[
        str | None, typer.Option(help="Column of a table file with validation accuracies.", metavar="NAME")
    ] = None,
    data: Data = "digits",
    metric: Annotated[
        str | None, typer.Option(help="What is rewarded: accuracy or cross_entropy.", metavar="NAME")
    ] = None,
    algorithm: Annotated[str, typer.Option(help="ppo or reinforce.", metavar="NAME")] = "ppo",
    head: Annotated[
        str, typer.Option(help="Policy head: joint, autoregressive or lstm.", metavar="NAME")
    ] = "autoregressive",
    rule: Annotated[str, typer.Option(help="Transitions: nat or nat++.", metavar="NAME")] = "nat++",
    cost: Annotated[str, typer.Option(help="Mask: strict, rule or live.", metavar="NAME")] = "strict",
    initial: Annotated[
        str | None, typer.Option(help="Initial architectures: uniform or pool:N.", metavar="KIND")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Policy updates.", metavar="N")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Episodes an iteration.", metavar="N")] = None,
    group_size: Annotated[
        int | None, typer.Option(help="Transforms of each initial architecture in a batch.", metavar="N")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="REINFORCE: none, ema or architecture.", metavar="NAME")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At the start.", metavar="X")] = None,
    entropy: Annotated[
        float | None, typer.Option(help="Weight of the entropy bonus at the start.", metavar="X")
    ] = None,
    warmup_steps: Annotated[
        int | None, typer.Option(help="Supernet: weight steps before the first iteration.", metavar="N")
    ] = None,
    weight_steps: Annotated[
        int | None, typer.Option(help="Supernet: weight steps before each iteration.", metavar="N")
    ] = None,
    channels: Channels = None,
    cells: Cells = None,
    schedule: Annotated[
        str, typer.Option(help="Scratch: training schedule, quick or paper.", metavar="NAME")
    ] = "quick",
    surrogate: Annotated[
        int | None,
        typer.Option(help="Scratch or table: evaluate so many architectures, predict the others.", metavar="N"),
    ] = None,
    actors: Actors = 0,
    gpus_per_actor: Gpus = 0.0,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that an evaluation on an actor may take; then it is tried again.", metavar="S"),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; must not exist yet.", metavar="RUN")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run instead of starting one.", metavar="RUN")
    ] = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Train a policy that transforms architectures.

    Example: natrl train --space nasbench201 --reward table:nasbench201 --out runs/first
    """
    if (out is None) == (resume is None):
        raise ValueError("give either --out RUN (a new run) or --resume RUN (go on with one)")
    if resume is not None:
        with ray_session(address, verbose=verbose):
            from natrl.tuning.run import resume as resume_run

            _report(resume_run(resume), as_json)
        return
    spec_defaults, learn_defaults, run_defaults = presets(reward, algorithm)
    if batch_size is not None:  # PPO's minibatches are no larger than a batch
        usual = learn_defaults.get("minibatch_size", LearnSettings.minibatch_size)
        learn_defaults["minibatch_size"] = max(1, min(batch_size, usual))
    spec = EvaluatorSpec(
        reward=reward,
        space=space,
        column=column,
        data=data,
        schedule=schedule,
        surrogate=surrogate,
        seed=seed,
        actors=actors,
        num_gpus=gpus_per_actor,
        timeout=timeout,
        **_chosen(spec_defaults, metric=metric),
    )
    spec = replace(spec, skeleton=resized(find_space(space).skeleton, channels, cells))
    with ray_session(address, verbose=verbose):
        from natrl.tuning.run import train as train_run
        from natrl.tuning.settings import RunSettings

        learn = LearnSettings(
            algorithm=algorithm,  # type: ignore[arg-type]  # checked there
            **_chosen(
                learn_defaults,
                iterations=iterations,
                batch_size=batch_size,
                group_size=group_size,
                baseline=baseline,
                learning_rate=learning_rate,
                entropy=entropy,
                warmup_steps=warmup_steps,
                weight_steps=weight_steps,
            ),
        )
        if surrogate is not None:
            from natrl.evaluation.surrogate import rounds_every

            spec = replace(spec, surrogate_every=rounds_every(learn.iterations))
        steps = learn.warmup_steps + learn.iterations * learn.weight_steps
        settings = RunSettings(
            evaluator=replace(spec, total_steps=max(1, steps)),
            learn=learn,
            head=head,  # type: ignore[arg-type]
            rule=rule,  # type: ignore[arg-type]
            cost=cost,  # type: ignore[arg-type]
            seed=seed,
            **_chosen(run_defaults, initial=initial),
        )
        _report(train_run(settings, out, command=invocation()), as_json)  # type: ignore[arg-type]


def presets(reward: str, algorithm: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Defaults of evaluator, algorithm and run for a reward: tables are cheap, trained networks are not."""
    learn: dict[str, Any] = {} if algorithm == "ppo" else {"group_size": 4, "entropy": 0.03}
    if reward.startswith("table:"):
        return {}, learn, {}
    small = {
        "iterations": 50,
        "batch_size": 64,
        "minibatch_size": 32,
        "entropy": 0.01,
        "final_entropy": 0.01,
        "reward_scale": 1.0,
    }
    if reward == "supernet":
        small |= {"warmup_steps": 2500}
    return {"metric": "cross_entropy"}, learn | small, {"initial": "pool:80", "reward_clip": 1.0, "keep": 2.0}


def _chosen(defaults: dict[str, Any], **given: Any) -> dict[str, Any]:
    """The defaults with what the user gave in place."""
    return defaults | {name: value for name, value in given.items() if value is not None}


def _report(run: Path, as_json: bool) -> None:
    from natrl.tuning.rundir import last_result

    result = last_result(run)
    if as_json:
        print(json.dumps({"run": str(run), **result}))
        return
    shown = ", ".join(f"{name} {value:.4g}" for name, value in result.items())
    Console().print(f"{run}: {shown}\nnext: natrl transform ARCH --policy {run}", highlight=False)
