"""Masks in the layouts that other libraries look for. Only Gymnasium is needed.

E slots, K primitives. The environments themselves give the mask as `observation["action_mask"]` (int8) and
`info["action_mask"]` (bool), (E, K) in the joint environment and (K,) in the sequential one.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

__all__ = ["MaskAsBox", "MaskForSampling", "MaskMethods", "MaskedObservation"]


class MaskMethods(gymnasium.Wrapper, RecordConstructorArgs):
    """The mask as a method and as a property; the outermost wrapper, or any other further in.

    `action_masks()`, bool (E·K,) or (K,), is what sb3-contrib's MaskablePPO calls; `action_mask`, bool (E, K) or (K,),
    what `gymnasium.vector.SyncVectorEnv.get_attr("action_mask")` collects. Gymnasium's own wrappers stopped passing
    attributes on (1.0), so an environment from `gymnasium.make` has neither by itself.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        gymnasium.Wrapper.__init__(self, env)
        RecordConstructorArgs.__init__(self)

    def action_masks(self) -> np.ndarray:
        """bool (E·K,), slot after slot, or (K,)."""
        return self.env.get_wrapper_attr("action_masks")()

    @property
    def action_mask(self) -> np.ndarray:
        """bool (E, K), or (K,) in the sequential environment."""
        return self.env.get_wrapper_attr("action_mask")


class MaskForSampling(gymnasium.Wrapper, RecordConstructorArgs):
    """`info["action_mask"]` as `action_space.sample(mask)` takes it (as in Gymnasium's Taxi).

    int8 (K,) for the sequential environment's Discrete space, a tuple of E such arrays for MultiDiscrete.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        gymnasium.Wrapper.__init__(self, env)
        RecordConstructorArgs.__init__(self)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, self._converted(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._converted(info)

    def _converted(self, info: dict[str, Any]) -> dict[str, Any]:
        mask = info["action_mask"].astype(np.int8)
        return {**info, "action_mask": mask if mask.ndim == 1 else tuple(mask)}


class MaskAsBox(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """`observation["action_mask"]` in a Box instead of a MultiBinary space, int8 of the same shape.

    TorchRL reads no MultiBinary space with two axes; its ActionMask transform takes masks (E, K) for MultiDiscrete.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        gymnasium.ObservationWrapper.__init__(self, env)
        RecordConstructorArgs.__init__(self)
        parts = dict(env.observation_space.spaces)  # type: ignore[attr-defined]
        parts["action_mask"] = spaces.Box(0, 1, parts["action_mask"].shape, np.int8)
        self.observation_space = spaces.Dict(parts)

    def observation(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As it is."""
        return observation


class MaskedObservation(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """Observations {"observations": float32 (n,), "action_mask": float32 (E·K,) or (K,)}, as RLlib's module wants.

    `ray.rllib.examples.rl_modules.classes.action_masking_rlm` reads both keys and adds the logarithm of the mask to the
    logits. All but the mask is flattened (`gymnasium.spaces.flatten`: indices become one-hot); what is not wanted goes
    before, by `gymnasium.wrappers.FilterObservation`.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        gymnasium.ObservationWrapper.__init__(self, env)
        RecordConstructorArgs.__init__(self)
        parts = dict(env.observation_space.spaces)  # type: ignore[attr-defined]
        mask = parts.pop("action_mask")
        self._parts = spaces.Dict(parts)
        self.observation_space = spaces.Dict(
            {
                "observations": spaces.Box(0, 1, (spaces.flatdim(self._parts),), np.float32),
                "action_mask": spaces.Box(0, 1, (int(np.prod(mask.shape)),), np.float32),
            }
        )

    def observation(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Both arrays, float32."""
        parts = {name: observation[name] for name in self._parts}
        return {
            "observations": np.asarray(spaces.flatten(self._parts, parts), dtype=np.float32),
            "action_mask": observation["action_mask"].astype(np.float32).ravel(),
        }
