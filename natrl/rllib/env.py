"""The vector environment as RLlib's env runners need it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import ray
from ray.tune.registry import register_env

from natrl.envs import ArchTransitionEnv, ArchTransitionVectorEnv
from natrl.envs.door import first_seed
from natrl.envs.episodes import Episodes
from natrl.evaluation import CachedEvaluator

__all__ = ["ENV_NAME", "TransitionVectorEnv", "register"]

ENV_NAME = "natrl"


class TransitionVectorEnv(ArchTransitionVectorEnv):
    """`ArchTransitionVectorEnv` with three differences.

    RLlib seeds the environment anew before every batch of complete episodes, so the same initial architectures would
    come back each iteration: a seed equal to the last one is ignored. RLlib turns infos into one dict an episode, which
    costs more than the transition: infos are left empty. What they would say is summed up by `statistics`.
    """

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        super().__init__(num_envs, **arguments)
        self._last_seed: int | None = None
        self._finished: list[Episodes] = []

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts all episodes; the same seed as last time goes on with the random stream instead of repeating it."""
        first = first_seed(seed, self.num_envs)
        repeated = first is not None and first == self._last_seed
        self._last_seed = first
        return super().reset(seed=None if repeated else first, options=options)

    def _info(self, episodes: Episodes) -> dict[str, Any]:
        if episodes.ended:
            self._finished.append(episodes)
        return {}

    def statistics(self) -> dict[str, float]:
        """Means over the episodes that ended since the last call (empty if none did).

        All but reward_…, of the sum of each episode's rewards, are of the episodes whose two architectures could be
        evaluated. reward_mean, accuracy_mean and
        accuracy_initial_mean (or score_… for another metric) and the standard deviations reward_std, …; cost_ratio
        (MAdds after ÷ before), share_null and share_skip of the slots, changes (slots a transform), repaired and
        invalid_actions.
        """
        finished, self._finished = self._finished, []
        if not finished:
            return {}

        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(episodes, name) for episodes in finished])

        before, after = joined("initial_scores"), joined("scores")
        rewards = joined("returns")
        fine = np.isfinite(before) & np.isfinite(after)
        if not fine.any():
            return {}
        before, after = before[fine], after[fine]
        costs, initial_costs = joined("costs")[fine], joined("initial_costs")[fine]
        initial = np.concatenate([episodes.initial.choices for episodes in finished])[fine]
        final = np.concatenate([episodes.present.choices for episodes in finished])[fine]
        primitives = np.array(self.core.space.primitives)
        score = "accuracy" if self.core.evaluator.metric == "accuracy" else "score"
        return {
            **_moments("reward", rewards),
            **_moments(score, after),
            **_moments(f"{score}_initial", before),
            "cost_ratio": float(np.mean(costs[:, 1] / initial_costs[:, 1])),
            "share_null": float(np.mean(primitives[final] == "null")),
            "share_skip": float(np.mean(primitives[final] == "skip_connect")),
            "changes": float(np.mean((initial != final).sum(-1))),
            "repaired": float(np.mean(joined("repaired")[fine])),
            "invalid_actions": float(np.mean(joined("invalid")[fine])),
        }

    def get_state(self) -> dict[str, Any]:
        """The random state and the lowest reward, for checkpoints."""
        state = self.np_random.bit_generator.state
        return {"random": state, "last_seed": self._last_seed, "lowest_reward": self.core.lowest_reward}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from `get_state`."""
        self.np_random.bit_generator.state = state["random"]
        self._last_seed = state["last_seed"]
        self.core.lowest_reward = state.get("lowest_reward")


def _moments(name: str, values: np.ndarray) -> dict[str, float]:
    return {f"{name}_mean": float(np.mean(values)), f"{name}_std": float(np.std(values))}


def _create(config: dict[str, Any]) -> gymnasium.Env | TransitionVectorEnv:
    arguments = {name: ray.get(value) if isinstance(value, ray.ObjectRef) else value for name, value in config.items()}
    arguments.pop("evaluator_resources", None)  # for the scheduler: TransitionAlgorithm.default_resource_request
    build = arguments.pop("build_evaluator", None)
    if build is not None:
        arguments["evaluator"] = CachedEvaluator(build(), on_failure="skip")  # one architecture must not end a run
    if "num_envs" in arguments:
        return TransitionVectorEnv(arguments.pop("num_envs"), **arguments)
    arguments.pop("group_size", None)
    return ArchTransitionEnv(**arguments)


def register() -> str:
    """Makes the environment known to RLlib in this process; returns its name.

    The environment's configuration holds the arguments of `ArchTransitionVectorEnv`; instead of `evaluator` it may hold
    `build_evaluator`, a function that makes one where the environment lives. Any of these may lie in Ray's object
    store.
    """
    register_env(ENV_NAME, _create)
    return ENV_NAME
