"""The evaluator of a run with the weights of its last checkpoint, in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from natrl.evaluation import CachedEvaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.runs.directory import ledger_file, read_config, tune_dir
from natrl.runs.settings import RunSettings

__all__ = ["last_checkpoint", "restored_evaluator"]


def last_checkpoint(run: Path) -> Path:
    """The newest checkpoint of a run. ValueError if there is none."""
    from natrl.rllib.algorithm import STATE_FILE

    found = sorted((tune_dir(run) / "trial").glob(f"checkpoint_*/{STATE_FILE}"))
    if not found:
        raise ValueError(f"{run} holds no checkpoint")
    return found[-1].parent


def restored_evaluator(run: Path) -> CachedEvaluator:
    """The evaluator that the run's rewards came from. ValueError if the directory is not a run.

    A supernet scores on validation images here, whichever images scored its policy: this is for choices.
    """
    from natrl.rllib.algorithm import read_state

    settings = RunSettings.from_dict(read_config(run)["settings"])
    state = read_state(last_checkpoint(run))
    ledger = None if settings.evaluator.kind.free else ledger_file(run)
    spec = replace(settings.evaluator, actors=0)
    if spec.weight_share < 1:
        spec = replace(spec, weight_share=1.0, score_images=max(spec.score_images, EvaluatorSpec.score_images))
    evaluator = CachedEvaluator(spec.build(ledger))
    evaluator.load_state_dict(state["evaluator"])
    return evaluator
