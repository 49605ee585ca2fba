"""The settings of `natrl.optimize`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Annotated

from annotated_doc import Doc

from natrl.checks.fields import Count, Logit
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import REWARDS
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.training.schedule import FINE_TUNING, Schedule
from natrl.tuning.presets import NETWORK_LEARN, NETWORK_RUN

__all__ = ["OptimizeSettings"]


@dataclass(frozen=True)
class OptimizeSettings(RunSettings):
    """How a network is optimized: the run in which its policy learns, and the last choice.

    The call says what space, data and budget are; `seed` is the evaluator's too, and of fine-tuning, which needs what
    an actor does, and bf16.
    """

    evaluator: Annotated[EvaluatorSpec, Doc("What the policy learns from; inherited weights choose.")] = field(
        default_factory=partial(EvaluatorSpec, reward="inherited")
    )
    learn: Annotated[LearnSettings, Doc("The algorithm.")] = field(
        default_factory=partial(LearnSettings, **NETWORK_LEARN)
    )
    keep: Annotated[Logit, Doc("As in `RunSettings`; the network itself comes first.")] = NETWORK_RUN["keep"]
    initial: Annotated[str | tuple[str, ...], Doc("original: the network.")] = NETWORK_RUN["initial"]
    checkpoint_every: Annotated[Count, Doc("Iterations, each of minutes.")] = NETWORK_RUN["checkpoint_every"]
    candidates: Annotated[Count, Doc("Candidates that the policy proposes, besides the most probable ones.")] = 24
    finalists: Annotated[Count, Doc("Of these, by validation score, are fine-tuned; the best one is the result.")] = 3
    fine_tuning: Annotated[Schedule, Doc("Of each finalist.")] = FINE_TUNING
    distill: Annotated[bool, Doc("Fine-tuning learns from the original's outputs besides the labels.")] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        spec = self.evaluator
        weights = self.learn.warmup_steps or self.learn.weight_steps
        if weights and REWARDS.is_ours(spec.reward) and not spec.kind.changes:
            raise ValueError("warmup_steps and weight_steps train a supernet: they need reward 'supernet'")

    @property
    def chooser(self) -> EvaluatorSpec:
        """What candidates are chosen by: inherited weights."""
        if self.evaluator.kind.inherits and not REWARDS.is_ours(self.evaluator.reward):
            return replace(self.evaluator, surrogate=None)  # a score of the user's
        return replace(self.evaluator, reward="inherited", schedule=EvaluatorSpec.schedule, surrogate=None)

    def with_rounds(self: OptimizeSettings) -> OptimizeSettings:
        """The same, and what a surrogate may ask for is spent while the policy is trained."""
        if self.evaluator.surrogate is None:
            return self
        from natrl.evaluation.surrogate.evaluator import rounds_every  # scikit-learn takes seconds

        every = rounds_every(self.learn.iterations)
        return replace(self, evaluator=replace(self.evaluator, surrogate_every=every))

    @property
    def run(self) -> RunSettings:
        """The run alone."""
        return RunSettings(**{f.name: getattr(self, f.name) for f in fields(RunSettings)})
