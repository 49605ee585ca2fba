"""What PPO and REINFORCE share here: weight training in turns, resources of evaluators, complete checkpoints."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.tune import PlacementGroupFactory

from natrl.checks.errors import said
from natrl.documents import open_file
from natrl.evaluation import CachedEvaluator
from natrl.files.seals import seal
from natrl.policies import Policy
from natrl.rllib.env import TransitionVectorEnv

__all__ = ["STATE_FILE", "TransitionAlgorithm", "read_state"]

STATE_FILE = "natrl_state.pt"
ENTRIES = {"environment", "random", "numpy", "torch", "evaluator"}  # of a state


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What `TransitionAlgorithm.save_checkpoint` adds to RLlib's. ValueError in one line if it is damaged."""
    path = checkpoint / STATE_FILE
    try:
        with open_file(path) as file:
            state = torch.load(file, weights_only=True)
    except Exception as error:  # torch stumbles over bytes of any kind in ways of any kind
        raise ValueError(f"{path} is damaged: {said(error)}") from None
    if not isinstance(state, dict) or not set(state) >= ENTRIES:
        raise ValueError(f"{path} is damaged: it must hold {', '.join(sorted(ENTRIES))}")
    return state


class TransitionAlgorithm(Algorithm):
    """Mixed into an algorithm whose environment runs in the algorithm's own process (`num_env_runners=0`).

    An iteration trains the evaluator's shared weights for `weight_steps` steps, the first one for `warmup_steps` more
    (RLlib's callbacks have no hook there, and one at set-up would run again on every restore), and then updates the
    policy `updates` times. Evaluator actors get bundles of their own in the trial's placement group, so that they can
    never wait for themselves. A checkpoint also holds the evaluator, the environment's and the process's random states,
    and the policy.
    """

    @classmethod
    def default_resource_request(cls, config: Any) -> PlacementGroupFactory:
        """RLlib's own bundles; with evaluator actors a bundle for each, and none for the process that awaits them."""
        resources = config["env_config"].get("evaluator_resources")
        if not resources:
            return super().default_resource_request(config)
        actor = {"CPU": resources["num_cpus"], "GPU": resources["num_gpus"]}
        return PlacementGroupFactory([{"GPU": config["num_gpus_per_learner"]}, *[actor] * resources["actors"]])

    @property
    def environment(self) -> TransitionVectorEnv:
        """The vector environment."""
        return self.env_runner.env.unwrapped

    @property
    def evaluator(self) -> CachedEvaluator:
        """The environment's evaluator."""
        return self.environment.core.evaluator

    def training_step(self) -> None:
        """Weight steps and what else the evaluator does in between, then the iteration's policy updates."""
        self.evaluator.before_iteration()
        steps = self.config.weight_steps + (self.config.warmup_steps if self.evaluator.version == 0 else 0)
        if steps:
            for name, value in self.evaluator.train_weights(steps).items():
                self.metrics.log_value(("weights", name), value, window=1)
        for update in range(self.config.updates):
            if update or not steps:  # training has raised the version too
                self.evaluator.before_update()
            self._update()

    def _update(self) -> None:
        try:
            super().training_step()
        except RuntimeError as error:  # RLlib hides what an environment raises behind an empty one
            raise error if error.__cause__ is None else error.__cause__ from None

    def policy(self) -> Policy:
        """The policy as it is now."""
        core = self.environment.core
        return Policy(self.get_module(DEFAULT_MODULE_ID).network, core.space, rule=core.rule, cost=core.cost)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        super().save_checkpoint(checkpoint_dir)
        state = {
            "environment": json.dumps(self.environment.get_state()),
            "random": json.dumps(random.getstate()),
            "numpy": json.dumps([s.tolist() if isinstance(s, np.ndarray) else s for s in np.random.get_state()]),  # noqa: NPY002  # RLlib shuffles with it
            "torch": torch.get_rng_state(),
            "evaluator": self.evaluator.state_dict(),
        }
        torch.save(state, Path(checkpoint_dir) / STATE_FILE)
        self.policy().save(Path(checkpoint_dir) / "policy")
        seal(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        super().load_checkpoint(checkpoint_dir)
        state = read_state(Path(checkpoint_dir))
        self.environment.set_state(json.loads(state["environment"]))
        version, numbers, gauss = json.loads(state["random"])
        random.setstate((version, tuple(numbers), gauss))
        np.random.set_state(tuple(json.loads(state["numpy"])))  # noqa: NPY002
        torch.set_rng_state(state["torch"])
        self.evaluator.load_state_dict(state["evaluator"])
