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
    "architecture", for each step the mean return of the steps of *other* episodes that start from the same state, with
    as many transforms left (several transforms α of one architecture β share what β contributes to the reward; where no
    other episode was there a step keeps its return); "critic", the module's value estimate. RLlib's own pieces (an
    artificial last step for bootstrapping, and generalised advantage estimation, which standardises over those steps
    too) are for unfinished episodes: not used.
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
            baseline = self._baseline(returns, columns, rl_module[module_id], lengths)
            advantages = returns - baseline
            if self.standardise:
                advantages = (advantages - advantages.mean()) / advantages.std(correction=0).clamp_min(1e-4)
            columns[Postprocessing.ADVANTAGES] = advantages.float()
            columns[Postprocessing.VALUE_TARGETS] = returns.float()
        return batch

    def _baseline(
        self, returns: torch.Tensor, columns: dict[str, Any], module: Any, lengths: list[int]
    ) -> torch.Tensor:
        match self.baseline:
            case "ema":
                mean = float(returns.mean())
                self.average = mean if self.average is None else self.decay * self.average + (1 - self.decay) * mean
                return torch.full_like(returns, self.average)
            case "architecture":
                return others_mean(returns, columns[Columns.OBS], lengths)
            case "critic":
                with torch.no_grad():
                    return module.compute_values(columns).double()
            case _:
                return torch.zeros_like(returns)


def others_mean(
    returns: torch.Tensor, observations: dict[str, torch.Tensor], lengths: list[int] | None = None
) -> torch.Tensor:
    """(T,): mean return of the steps of other episodes with the same state, 0 where there is none.

    A state is operations, features, transforms left, and the budget. `lengths` of the episodes, in order; None: a step
    each.
    Steps of the same episode are left out: their returns are part of each other.
    """
    lengths = [1] * len(returns) if lengths is None else lengths
    parts = [observations[name] for name in ("ops", "features", "left", "budget") if name in observations]
    states = torch.cat([part.reshape(len(returns), -1).float() for part in parts], dim=1)
    _, state = torch.unique(states, dim=0, return_inverse=True)
    episode = torch.repeat_interleave(torch.tensor(lengths)).to(state)
    _, visit = torch.unique(torch.stack([state, episode]), dim=1, return_inverse=True)  # of a state by an episode
    sums, sizes = _totals(returns, state)
    own_sums, own_sizes = _totals(returns, visit)
    return (sums - own_sums) / (sizes - own_sizes).clamp_min(1)


def _totals(values: torch.Tensor, group: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(T,) each: the sum of the values of the same group, and how many they are."""
    sizes = torch.bincount(group)
    return values.new_zeros(len(sizes)).index_add_(0, group, values)[group], sizes[group]
