"""What a policy learns by, by name: ppo, reinforce, or an algorithm of the user's. No Ray until one is configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TYPE_CHECKING

from natrl.checks.kinds import described, with_functions
from natrl.registry import Registry, returned_by

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    from natrl.rllib.settings import LearnSettings

__all__ = ["ALGORITHMS", "LearningAlgorithm", "configuration"]


@dataclass(frozen=True)
class LearningAlgorithm:
    """How RLlib's configuration is made, and what `LearnSettings` are where nobody gives them."""

    configure: Callable[[LearnSettings], AlgorithmConfig]  # of a `natrl.rllib.algorithm.TransitionAlgorithm`
    presets: Mapping[str, Any] = field(default_factory=dict)  # instead of the defaults of `LearnSettings`
    in_turns: Mapping[str, Any] = field(default_factory=dict)  # … where shared weights are trained in turns (`paper`)
    heeds: tuple[str, ...] = ()  # of the settings that not every algorithm has: minibatch_size, baseline, …


def accept_algorithm(found: Any) -> LearningAlgorithm:
    """A record as it is, a function as one without presets."""
    if isinstance(found, LearningAlgorithm):
        return with_functions(found, "configure")
    if callable(found) and not isinstance(found, type):
        return LearningAlgorithm(found)
    raise ValueError(
        "expected a natrl.rllib.registry.LearningAlgorithm, or a function from LearnSettings to an AlgorithmConfig of "
        f"RLlib's, got {described(found)}"
    )


def configuration(settings: LearnSettings) -> AlgorithmConfig:
    """RLlib's configuration by the algorithm of the settings. ValueError in one line if it makes no such thing."""
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    from natrl.rllib.algorithm import TransitionAlgorithm

    what = f"algorithm {settings.algorithm!r}"
    config = returned_by(partial(ALGORITHMS.get(settings.algorithm).configure, settings), what)
    if not isinstance(config, AlgorithmConfig):
        raise ValueError(f"{what} must return an RLlib AlgorithmConfig, got {described(config)}")
    kind = config.algo_class
    if not (isinstance(kind, type) and issubclass(kind, TransitionAlgorithm)):
        name = getattr(kind, "__name__", kind)
        raise ValueError(
            f"{what}: its algorithm must be derived from natrl.rllib.algorithm.TransitionAlgorithm, got {name}"
        )
    return config


def _ppo(settings: LearnSettings) -> AlgorithmConfig:
    from natrl.rllib.ppo import configure

    return configure(settings)


def _reinforce(settings: LearnSettings) -> AlgorithmConfig:
    from natrl.rllib.reinforce import configure

    return configure(settings)


PPO = LearningAlgorithm(_ppo, heeds=("epochs", "minibatch_size", "clip", "value_weight", "reward_scale"))
REINFORCE = LearningAlgorithm(
    _reinforce,
    presets={"group_size": 4, "entropy": 0.03},
    in_turns={  # arXiv 2102.10301, section 6.1
        "batch_size": 1,
        "group_size": 1,
        "baseline": "ema",
        "baseline_decay": 0.99,
        "standardise": False,
    },
    heeds=("baseline", "baseline_decay", "standardise"),
)
ALGORITHMS: Registry[LearningAlgorithm] = Registry("algorithm", accept_algorithm, group="natrl.algorithms")
ALGORITHMS.register("ppo", "natrl.rllib.registry:PPO", "clipped ratios and a critic")
ALGORITHMS.register("reinforce", "natrl.rllib.registry:REINFORCE", "the papers' policy gradient, without a critic")
