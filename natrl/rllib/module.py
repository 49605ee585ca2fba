"""The policy network as an RLModule of RLlib's new API stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule

from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.policies.storage import read_policy
from natrl.rllib.distribution import masked_distribution

__all__ = ["TransitionModule", "module_spec"]


class TransitionModule(TorchRLModule, ValueFunctionAPI):
    """Wraps `PolicyNetwork`. B batch, E slots, K primitives.

    Exploration and inference return the actions (B, E) they decoded together with the masked logits (B, E·K) that the
    choices before each slot led to; training evaluates the same logits by teacher forcing on the batch's actions, so
    log-probabilities agree exactly for the autoregressive head too.
    """

    def setup(self) -> None:
        config: PolicyConfig = self.model_config["policy"]
        self.network = PolicyNetwork(config)
        if start := self.model_config.get("start"):
            self.network.start_from(read_policy(Path(start))[0])
        self.action_dist_cls = masked_distribution(len(config.primitives))

    def _forward_exploration(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, torch.Tensor]:
        return self._act(batch, deterministic=False)

    def _forward_inference(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, torch.Tensor]:
        return self._act(batch, deterministic=True)

    def _act(self, batch: dict[str, Any], deterministic: bool) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            actions, logits, log_prob = self.network.sample(batch[Columns.OBS], deterministic=deterministic)
        return {Columns.ACTIONS: actions, Columns.ACTION_DIST_INPUTS: logits.flatten(1), Columns.ACTION_LOGP: log_prob}

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, torch.Tensor]:
        logits = self.network.evaluate(batch[Columns.OBS], batch[Columns.ACTIONS].long())
        return {Columns.ACTION_DIST_INPUTS: logits.flatten(1)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """(B,): the critic's estimate of the return."""
        return self.network.value(batch[Columns.OBS])


def module_spec(policy: PolicyConfig, start: Path | None = None) -> RLModuleSpec:
    """The specification of a `TransitionModule` for an algorithm's configuration.

    `start`: the folder of a policy whose weights it begins with.
    """
    model = {"policy": policy, "start": None if start is None else str(start)}
    return RLModuleSpec(module_class=TransitionModule, model_config=model)
