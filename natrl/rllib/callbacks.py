"""The metrics of a run, as columns of Tune's progress.csv."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core import DEFAULT_MODULE_ID

__all__ = ["TransitionMetrics"]


class TransitionMetrics(RLlibCallback):
    """Adds the environment's statistics, entropy and evaluation counts to each iteration's result, at the top level."""

    def on_train_result(
        self, *, algorithm: Any, metrics_logger: Any = None, result: dict[str, Any], **kwargs: Any
    ) -> None:
        result.update(algorithm.environment.statistics())
        learner = result.get("learners", {}).get(DEFAULT_MODULE_ID, {})
        for ours, theirs in (("entropy", "entropy"), ("policy_loss", "policy_loss"), ("value_loss", "vf_loss")):
            if theirs in learner:
                result[ours] = float(learner[theirs])
        result.update(algorithm.evaluator.statistics())
        result["weights_version"] = algorithm.evaluator.version
        for name, value in result.pop("weights", {}).items():
            result[f"weights_{name}"] = float(value)
