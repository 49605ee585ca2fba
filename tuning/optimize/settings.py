"""The settings of `natrl.optimize`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Annotated, Literal

from annotated_doc import Doc

from natrl.checks.fields import Count, defaults_of, Logit
from natrl.core.moves import moves_from
from natrl.core.transitions import check_choice
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import REWARDS
from natrl.files.paths import absolute
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.training.schedule import FINE_TUNING, Schedule
from natrl.tuning.presets import EFFECTS_LEARN, NETWORK_LEARN, NETWORK_RUN

__all__ = ["Method", "OptimizeSettings"]

Method = Literal["policy", "additive"]
LearnFrom = Literal["effects", "scores"]
Effects = Literal["divergence", "cross_entropy", "accuracy"]  # the first of natrl.evaluation.divergence

#: Where nobody says how a policy learns: from scores, each of which costs one, and from effects.
PRESETS = {False: LearnSettings(**NETWORK_LEARN), True: LearnSettings(**EFFECTS_LEARN)}

#: What only a policy that is learned has.
OF_POLICY = (
    "learn",
    "head",
    "keep",
    "initial",
    "horizon",
    "budgets",
    "reward_clip",
    "learn_from",
    "start",
    "checkpoint_every",
    "evaluator.metric",
    "evaluator.surrogate",
)


@dataclass(frozen=True)
class OptimizeSettings(RunSettings):
    """How a network is optimized: the run in which its policy learns, and the last choice.

    The call says what space, data and budget are; `seed` is the evaluator's too, and of fine-tuning, which needs what
    an actor does, and bf16.
    """

    evaluator: Annotated[EvaluatorSpec, Doc("What the policy learns from; inherited weights choose.")] = field(
        default_factory=partial(EvaluatorSpec, reward="inherited")
    )
    learn: Annotated[LearnSettings, Doc("The algorithm; from scores, which cost more, fewer episodes.")] = field(
        default_factory=partial(LearnSettings, **EFFECTS_LEARN)
    )
    keep: Annotated[Logit, Doc("As in `RunSettings`; the network itself comes first.")] = NETWORK_RUN["keep"]
    initial: Annotated[str | tuple[str, ...], Doc("original: the network.")] = NETWORK_RUN["initial"]
    checkpoint_every: Annotated[Count, Doc("Iterations, each of minutes.")] = NETWORK_RUN["checkpoint_every"]
    method: Annotated[
        Method,
        Doc("Candidates: a policy's, and the best sums of single replacements; or additive, these alone."),
    ] = "policy"
    learn_from: Annotated[
        LearnFrom,
        Doc("A policy learns from effects, sums over replacements; or from scores of what it proposes."),
    ] = "effects"
    effects: Annotated[
        Effects,
        Doc("With data: single replacements by divergence of outputs, cross_entropy or accuracy."),
    ] = "divergence"
    moves: Annotated[
        str,
        Doc("What may change, with commas between: types, kernels, ranks, branches, widths; or all."),
    ] = "all"
    width_multiple: Annotated[Count, Doc("With widths: channels in multiples of this, such as 8.")] = 1
    candidates: Annotated[
        Count, Doc("Candidates: best combinations, and, besides a policy's most probable ones, a third as many.")
    ] = 24
    finalists: Annotated[
        Count,
        Doc("Of these, by score, are trained for an epoch, and the best goes on; with tune, half to the end."),
    ] = 6
    fine_tuning: Annotated[Schedule, Doc("Of the result; of each finalist the first epoch.")] = FINE_TUNING
    class_weights: Annotated[
        tuple[float, ...] | str,
        Doc("With a named score whose loss knows classes: their weights in it (1,5,2); else the score says."),
    ] = ()
    distill: Annotated[bool, Doc("At first fine-tuning learns from the original's outputs, too.")] = True
    tune_original: Annotated[bool, Doc("The original is fine-tuned alike, to be compared with.")] = True

    runtime: Annotated[
        str, Doc("What times are measured in: eager, compile, onnxruntime, tensorrt, or module:function.")
    ] = "eager"
    device: Annotated[
        str | None, Doc("Where: cpu, cuda; None: the GPU where there is one and the runtime uses it.")
    ] = None
    times: Annotated[
        str | None, Doc("File of measured times, read where it is, else written; None: times.json of the run.")
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.times is not None:
            object.__setattr__(self, "times", str(absolute(self.times)))
        spec = self.evaluator
        weights = self.learn.warmup_steps or self.learn.weight_steps
        if weights and REWARDS.is_ours(spec.reward) and not spec.kind.changes:
            raise ValueError("warmup_steps and weight_steps train a supernet: they need reward 'supernet'")
        if moves_from(self.moves).isdisjoint({"widths"}) and self.width_multiple != 1:
            raise ValueError("width_multiple is of widths: give moves that have them, such as all, or leave it out")
        check_choice("method", self.method, Method)
        check_choice("effects", self.effects, Effects)
        object.__setattr__(self, "class_weights", _weights(self.class_weights))
        check_choice("learn_from", self.learn_from, LearnFrom)
        if self.method == "additive":
            self._check_additive()
        elif not self.by_effects and self.effects != OptimizeSettings.effects:
            raise ValueError("effects are of single replacements, which nothing here scores: leave them out")
        object.__setattr__(self, "learn", _preset(self.learn, self.by_effects))

    @property
    def by_effects(self) -> bool:
        """Whether single replacements are scored. (A reward, metric or surrogate is for the scores of a policy.)"""
        spec, usual = self.evaluator, defaults_of(EvaluatorSpec)
        ours = spec.kind.inherits and spec.surrogate is None and spec.metric == usual["metric"]
        return self.method == "additive" or (self.learn_from == "effects" and ours and spec.reward != "divergence")

    def _check_additive(self) -> None:
        """ValueError where something is said of a policy."""
        if not self.evaluator.kind.inherits:
            raise ValueError(f"method 'additive' scores by inherited weights: leave out {self.evaluator.reward!r}")
        for name in OF_POLICY:
            group, _, last = name.rpartition(".")
            said, usual = (
                (getattr(self, group), defaults_of(EvaluatorSpec)) if group else (self, defaults_of(OptimizeSettings))
            )
            if getattr(said, last) != usual[last]:
                raise ValueError(f"{name} is of a policy, and method 'additive' learns none: leave it out")

    @property
    def chooser(self) -> EvaluatorSpec:
        """What candidates are chosen by: inherited weights; beside effects what measures these."""
        if self.evaluator.kind.inherits and not REWARDS.is_ours(self.evaluator.reward):
            return replace(self.evaluator, surrogate=None)  # a score of the user's
        spec = replace(self.evaluator, reward="inherited", schedule=EvaluatorSpec.schedule, surrogate=None)
        if not self.by_effects:
            return spec
        if self.effects == "divergence":
            return replace(spec, reward="divergence")
        return replace(spec, metric=self.effects)

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


def _preset(learn: LearnSettings, by_effects: bool) -> LearnSettings:
    """The algorithm that suits what is learned from, with as many iterations as somebody said; another one stays."""
    for usual in PRESETS.values():
        if replace(learn, iterations=usual.iterations) == usual:
            fitting = PRESETS[by_effects]
            return fitting if learn == usual else replace(fitting, iterations=learn.iterations)
    return learn


def _weights(given: tuple[float, ...] | str) -> tuple[float, ...]:
    """From numbers or their text, such as 1,5,2. ValueError unless they are finite and at least 0, and one is above."""
    try:
        weights = tuple(float(w) for w in (given.split(",") if isinstance(given, str) else given))
    except ValueError:
        weights = (math.nan,)
    if not all(0 <= w < math.inf for w in weights) or (weights and not any(weights)):
        raise ValueError(f"class_weights must be numbers of at least 0, such as 1,5,2, got {given!r:.60}")
    return weights
