"""The masks of an autoregressive head: what each slot may become, given the choices before it.

B batch, E slots, K primitives, R = 2 resources.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from natrl.core.connectivity import LivePath, Wiring
from natrl.core.spending import Spending

__all__ = ["BudgetMasks", "LiveMasks", "Masks"]

ROUNDING = 64  # float32 sums of costs may be wrong by so many times what the type can tell apart


class Masks(ABC):
    """Slots in their order, once."""

    @abstractmethod
    def allowed(self, e: int) -> tuple[Tensor, Tensor | None]:
        """bool (B, K), what slot e may become, and of a budget how tight it is, float32 (B, 2 R) in [0, 1]."""

    @abstractmethod
    def decide(self, e: int, action: Tensor) -> None:
        """Records the choice (B,) of slot e."""

    def replay(self, actions: Tensor) -> tuple[Tensor, Tensor | None]:
        """bool (B, E, K) and (B, E, 2 R): what decoding these actions (B, E) meets."""
        met = []
        for e in range(actions.shape[1]):
            met.append(self.allowed(e))
            self.decide(e, actions[:, e])
        masks, tightness = zip(*met, strict=True)
        told = [t for t in tightness if t is not None]
        return torch.stack(masks, dim=1), torch.stack(told, dim=1) if told else None


class LiveMasks(Masks):
    """Null is refused where it would cut the last path from input to output."""

    def __init__(self, mask: Tensor, active: Tensor, wiring: Wiring, null: int | None) -> None:
        """`mask` bool (B, E, K); `active` bool (B, E): the slot holds another operation than the primitive `null`."""
        self._mask, self._null = mask, null
        if null is not None:
            possible = torch.cat([mask[..., :null], mask[..., null + 1 :]], dim=-1).any(-1)
            self._path = LivePath(active, possible, wiring)

    def allowed(self, e: int) -> tuple[Tensor, None]:
        mask = self._mask[:, e]
        if self._null is None:
            return mask, None
        mask = mask.clone()
        mask[:, self._null] &= self._path.may_null(e)
        return mask, None

    def decide(self, e: int, action: Tensor) -> None:
        if self._null is not None:
            self._path.decide(e, action != self._null)


class BudgetMasks(Masks):
    """So is what the slots after it could not make up for (`natrl.core.spending`)."""

    def __init__(
        self, obs: Mapping[str, Tensor], mask: Tensor, active: Tensor, wiring: Wiring, null: int | None
    ) -> None:
        """ValueError unless costs are (B, E, K, 2) and budget (B, 2); the rest as `LiveMasks`."""
        costs, budget = obs["costs"], obs["budget"]
        if costs.shape != (*mask.shape, 2) or budget.shape != (len(mask), 2):
            shapes = f"{(*costs.shape,)} and {(*budget.shape,)}"
            raise ValueError(f"costs and budget must be (B, E, K, 2) = {(*mask.shape, 2)} and (B, 2), got {shapes}")
        self._device = mask.device
        self._tolerance = 0.0 if costs.dtype == torch.float64 else ROUNDING * torch.finfo(torch.float32).eps
        wires = Wiring(*[_array(part) for part in wiring])
        prices, limits = (_array(part).astype(np.float64) for part in (costs, budget))
        self._spending = Spending(prices, limits, _array(mask), _array(active), wires, null)

    def allowed(self, e: int) -> tuple[Tensor, Tensor]:
        allowed, tightness = self._spending.look(e, self._tolerance)
        told = torch.as_tensor(tightness.reshape(len(tightness), -1), dtype=torch.float32, device=self._device)
        return torch.as_tensor(allowed, device=self._device), told

    def decide(self, e: int, action: Tensor) -> None:
        self._spending.decide(e, _array(action))


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
