"""From rewards to advantages, for complete episodes: return minus baseline. T steps of all episodes in a batch."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing

from natrl.rllib.settings import Baseline

__all__ = ["Advantages", "returns_to_go"]


def returns_to_go(rewards: np.ndarray, lengths: list[int], gamma: float) -> np.ndarray:
    """float (T,): discounted sums of rewards (T,) from each step to the end of its episode."""
    returns = np.array(rewards, dtype=np.float64)
    end = len(returns)
    for length in reversed(lengths):
        for t in range(end - 2, end - length - 1, -1):
            returns[t] += gamma * returns[t + 1]
        end -= length
    return returns


class Advantages(ConnectorV2):
    """The last piece of the learner's pipeline: adds advantages, and for a critic value targets, to the batch.

    Baselines: "none"; "ema", an exponential moving average of mean returns (arXiv 1910.14488, algorithm 1: decay 0.99);
    "architecture", for each step the mean return of the *other* steps that start from the same state (several
    transforms α of one architecture β share what β contributes to the reward; alone in its group a step keeps its
    return); "critic", the module's value estimate. RLlib's own pieces (an artificial last step for bootstrapping, and
    generalised advantage estimation, which standardises over those steps too) are for unfinished episodes: not used.
    """

    def __init__(
        self,
        *,
        baseline: Baseline,
        gamma: float = 1.0,
        decay: float = 0.99,
        standardise: bool = True,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if baseline not in get_args(Baseline):
            raise ValueError(f"unknown baseline {baseline!r}; known: {', '.join(get_args(Baseline))}")
        self.baseline: Baseline = baseline
        self.gamma = gamma
        self.decay = decay
        self.standardise = standardise
        self.scale = scale  # of returns, so that a critic's targets are near 1
        self.average: float | None = None  # of the "ema" baseline; belongs into checkpoints

    def __call__(self, *, rl_module: Any, episodes: list[Any], batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Adds ADVANTAGES (T,) and VALUE_TARGETS (T,), float32, to the batch of each module."""
        lengths = [len(e) for e in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=False)]
        for module_id, columns in batch.items():
            rewards = columns[Columns.REWARDS]
            device = rewards.device
            sums = self.scale * returns_to_go(rewards.cpu().numpy(), lengths, self.gamma)
            returns = torch.as_tensor(sums, device=device)
            baseline = self._baseline(returns, columns, rl_module[module_id])
            advantages = returns - baseline
            if self.standardise:
                advantages = (advantages - advantages.mean()) / advantages.std(correction=0).clamp_min(1e-4)
            columns[Postprocessing.ADVANTAGES] = advantages.float()
            columns[Postprocessing.VALUE_TARGETS] = returns.float()
        return batch

    def _baseline(self, returns: torch.Tensor, columns: dict[str, Any], module: Any) -> torch.Tensor:
        match self.baseline:
            case "ema":
                mean = float(returns.mean())
                self.average = mean if self.average is None else self.decay * self.average + (1 - self.decay) * mean
                return torch.full_like(returns, self.average)
            case "architecture":
                return others_mean(returns, columns[Columns.OBS])
            case "critic":
                with torch.no_grad():
                    return module.compute_values(columns).double()
            case _:
                return torch.zeros_like(returns)


def others_mean(returns: torch.Tensor, observations: dict[str, torch.Tensor]) -> torch.Tensor:
    """(T,): mean return of the other steps with the same state (operations and features), 0 where there is none."""
    states = torch.cat([observations["ops"].flatten(1).float(), observations["features"].flatten(1).float()], dim=1)
    _, group = torch.unique(states, dim=0, return_inverse=True)
    n_groups = int(group.max()) + 1
    sums = torch.zeros(n_groups, dtype=returns.dtype, device=returns.device).index_add_(0, group, returns)
    sizes = torch.bincount(group, minlength=n_groups)
    return (sums[group] - returns) / (sizes[group] - 1).clamp_min(1)
