"""Learners: PPO's and REINFORCE's losses over complete, mostly one-step episodes."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import ENTROPY_KEY, POLICY_LOSS_KEY
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.rllib.utils.schedules.scheduler import Scheduler

from natrl.rllib.advantages import Advantages

__all__ = ["OneStepPPOLearner", "REINFORCELearner"]


class _Resumable(TorchLearner):
    """Keeps in checkpoints what RLlib leaves out: the baseline's average, and how far the entropy schedule has come.

    And makes Adam with the configuration's betas and weight decay.
    """

    _advantages: Advantages
    _sampled = 0  # environment steps so far

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        weights = self.get_parameters(self.module[module_id])
        optimizer = torch.optim.Adam(weights, **self.config.adam)
        self.register_optimizer(module_id=module_id, optimizer=optimizer, params=weights, lr_or_lr_schedule=config.lr)

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state = super().get_state(*args, **kwargs)
        return {**state, "baseline_average": self._advantages.average, "sampled": self._sampled}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if "sampled" in state:
            self._advantages.average, self._sampled = state["baseline_average"], state["sampled"]
            for schedule in self._entropy_schedules():
                schedule.update(timestep=self._sampled)

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().after_gradient_based_update(timesteps=timesteps)
        self._sampled = timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0)

    def _entropy_schedules(self) -> list[Scheduler]:
        raise NotImplementedError


class OneStepPPOLearner(_Resumable, PPOTorchLearner):
    """PPO's loss with `Advantages` in place of the phantom last step and generalised advantage estimation."""

    def build(self) -> None:
        super().build()
        for name in ("AddOneTsToEpisodesAndTruncate", "GeneralAdvantageEstimation"):
            self._learner_connector.remove(name)
        self._advantages = Advantages(baseline="critic", gamma=self.config.gamma, scale=self.config.reward_scale)
        self._learner_connector.append(self._advantages)

    def _entropy_schedules(self) -> list[Scheduler]:
        return [self.entropy_coeff_schedulers_per_module[module_id] for module_id in self.module.keys()]  # noqa: SIM118  # no dict


class REINFORCELearner(_Resumable):
    """L(θ) = −mean[A · log π(a | s; θ)] − λ · mean[H(π(· | s; θ))] (Williams 1992; arXiv 1910.14488, eq. 7)."""

    def build(self) -> None:
        super().build()
        config = self.config
        self._advantages = Advantages(
            baseline=config.baseline, gamma=config.gamma, decay=config.baseline_decay, standardise=config.standardise
        )
        self._learner_connector.append(self._advantages)
        self._entropy_coeff = Scheduler(
            fixed_value_or_schedule=config.entropy_coeff, framework=self.framework, device=self._device
        )

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> torch.Tensor:
        """The scalar loss; logs policy loss and entropy."""
        distribution = self.module[module_id].unwrapped().get_train_action_dist_cls()
        policy = distribution.from_logits(fwd_out[Columns.ACTION_DIST_INPUTS])
        policy_loss = -(batch[Postprocessing.ADVANTAGES] * policy.logp(batch[Columns.ACTIONS])).mean()
        entropy = policy.entropy().mean()
        self.metrics.log_dict({POLICY_LOSS_KEY: policy_loss, ENTROPY_KEY: entropy}, key=module_id, window=1)
        return policy_loss - self._entropy_coeff.get_current_value() * entropy

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().after_gradient_based_update(timesteps=timesteps)
        self._entropy_coeff.update(timestep=self._sampled)

    def _entropy_schedules(self) -> list[Scheduler]:
        return [self._entropy_coeff]
