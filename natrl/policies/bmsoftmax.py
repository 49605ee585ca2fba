"""The masked distribution over the operations of every slot, and the only place where masking happens.

B batch, E slots, K primitives; "..." stands for any batch dimensions. Everything is a torch tensor.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

__all__ = ["MASKED", "BMSoftmax"]

#: The logit of a forbidden primitive: its exponential is 0 beside any logit, and sums of many stay finite in float32.
MASKED = -1e30


class BMSoftmax:
    """Binary-Masked Softmax, one categorical distribution per slot (arXiv 2102.10301, eq. 7):

        p_i = m_i exp(z_i) / Σ_j m_j exp(z_j)

    logits float (..., E, K); mask bool (..., E, K), False = forbidden. Slots are independent given the logits, so
    joint quantities are sums over the E slots; `slot_…` gives them per slot. Forbidden primitives have probability 0
    and their logits no gradient. Where a slot allows nothing (padding), every value is finite and its entropy is 0.
    """

    def __init__(self, logits: Tensor, mask: Tensor) -> None:
        """ValueError unless both have the same shape and at least two dimensions."""
        if logits.shape != mask.shape or logits.dim() < 2:
            raise ValueError(f"logits and mask must both be (..., E, K), got {(*logits.shape,)} and {(*mask.shape,)}")
        self.mask = mask.bool()
        #: (..., E, K): the logits with MASKED in place of the forbidden ones. They alone restore the distribution.
        self.logits = torch.where(self.mask, logits, MASKED)

    @cached_property
    def _log_probs(self) -> Tensor:
        return torch.log_softmax(self.logits, dim=-1)

    @classmethod
    def from_masked(cls, logits: Tensor, slots: int) -> BMSoftmax:
        """The distribution whose masked logits, flattened, are (..., E·K). ValueError if E does not divide them."""
        if slots < 1 or logits.shape[-1] % slots:
            raise ValueError(f"{logits.shape[-1]} logits cannot be divided among {slots} slots")
        unflattened = logits.unflatten(-1, (slots, -1))
        return cls(unflattened, unflattened > MASKED / 2)

    @property
    def probs(self) -> Tensor:
        """(..., E, K): probabilities, exactly 0 where forbidden."""
        return self._log_probs.exp() * self.mask

    def slot_log_prob(self, actions: Tensor) -> Tensor:
        """(..., E): log-probability of each slot's action; at most MASKED / 2 where it is forbidden."""
        return self._log_probs.gather(-1, actions.long().unsqueeze(-1)).squeeze(-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """(...,): log-probability of actions int (..., E)."""
        return self.slot_log_prob(actions).sum(-1)

    def slot_entropy(self) -> Tensor:
        """(..., E): entropy in nats; with equal logits its exponential is the number of allowed primitives."""
        allowed = torch.where(self.mask, self._log_probs, 0.0)
        return -(allowed.exp() * allowed).sum(-1)

    def entropy(self) -> Tensor:
        """(...,): entropy in nats, summed over slots."""
        return self.slot_entropy().sum(-1)

    def slot_kl_divergence(self, other: BMSoftmax) -> Tensor:
        """(..., E): KL(self ‖ other) in nats; very large but finite where `other` forbids what self allows."""
        ours = torch.where(self.mask, self._log_probs, 0.0)
        theirs = torch.where(self.mask, other._log_probs, 0.0)
        return (self.probs * (ours - theirs)).sum(-1)

    def kl_divergence(self, other: BMSoftmax) -> Tensor:
        """(...,): KL(self ‖ other) in nats, summed over slots."""
        return self.slot_kl_divergence(other).sum(-1)

    def sample(self, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """int64 (..., E): actions drawn by the Gumbel-max trick, so that a forbidden one is never drawn.

        A `temperature` above 1 flattens the distribution.
        """
        uniform = torch.rand(self.logits.shape, dtype=self.logits.dtype, device=self.logits.device, generator=generator)
        exponential = -uniform.clamp_min(torch.finfo(uniform.dtype).tiny).log()
        return (self.logits / temperature - exponential.log()).argmax(-1)

    def mode(self) -> Tensor:
        """int64 (..., E): the most probable action of each slot."""
        return self.logits.argmax(-1)
