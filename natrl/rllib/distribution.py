"""BMSoftmax as an RLlib action distribution."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic, TorchDistribution

from natrl.policies.bmsoftmax import BMSoftmax

__all__ = ["masked_distribution"]


def masked_distribution(n_primitives: int) -> type[TorchDistribution]:
    """The distribution class for E·K masked logits of K = `n_primitives` a slot.

    RLlib hands a distribution its logits only; BMSoftmax reads the mask off their finite minimum.
    """

    class MaskedMultiCategorical(TorchDistribution):
        """One BMSoftmax a slot; log-probability, entropy and KL are sums over slots."""

        def _get_torch_distribution(self, logits: torch.Tensor) -> Any:
            return BMSoftmax.from_masked(logits, slots=logits.shape[-1] // n_primitives)

        def logp(self, value: torch.Tensor, **kwargs: Any) -> torch.Tensor:
            return self._dist.log_prob(value)

        def entropy(self) -> torch.Tensor:
            return self._dist.entropy()

        def kl(self, other: Any, **kwargs: Any) -> torch.Tensor:
            return self._dist.kl_divergence(other._dist)

        def sample(self, *, sample_shape: Any = None, **kwargs: Any) -> torch.Tensor:
            return self._dist.sample()

        def rsample(self, **kwargs: Any) -> torch.Tensor:
            raise NotImplementedError("operations are discrete: there is no reparameterised sample")

        def to_deterministic(self) -> Any:
            return TorchDeterministic(loc=self._dist.mode())

        @staticmethod
        def required_input_dim(space: Any, **kwargs: Any) -> int:
            return int(space.nvec.sum())

        @classmethod
        def from_logits(cls, logits: torch.Tensor, **kwargs: Any) -> Any:
            return cls(logits=logits)

    return MaskedMultiCategorical
