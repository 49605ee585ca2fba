"""Heads: from encoded slots to a distribution over the operations of every slot.

B batch, E slots, K primitives, W width. An operation is scored by its embedding, so K is free. The autoregressive head
decides slot after slot: a slot's logits depend on the choices before it, and a choice that would cut the last path from
input to output is masked. Slots are encoded once; a choice reaches the slots after it through a running sum, so teacher
forcing is one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn, Tensor

from natrl.core.connectivity import LivePath, Wiring
from natrl.policies.bmsoftmax import BMSoftmax
from natrl.policies.encoder import OperationEmbedding

__all__ = ["AutoregressiveHead", "Choose", "JointHead", "Scene"]

#: How actions are taken from a distribution: its mode, or a sample.
Choose = Callable[[BMSoftmax], Tensor]


class Scene(NamedTuple):
    """What a head decides on."""

    slots: Tensor  # float (B, E, W): encoded slots
    pooled: Tensor  # float (B, W): the encoded architecture
    wiring: Wiring  # bool, as natrl.spaces.wiring_of gives it
    active: Tensor  # bool (B, E): the slot holds an operation other than null
    mask: Tensor  # bool (B, E, K): False = forbidden
    primitives: Tensor  # int64 (K,): vocabulary index of each primitive
    null: int | None  # the primitive that cuts paths
    offset: Tensor  # float (B, E, K): added to the logits


class Scorer(nn.Module):
    """Scores a hidden vector h against each operation: (Q h + b) · embedding(operation) / √W.

    Q and b start 100 times smaller than usual, so that a fresh policy explores all that is allowed about equally.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        with torch.no_grad():
            self.query.weight.mul_(0.01)
            self.query.bias.mul_(0.01)
        self.operations = OperationEmbedding(width)

    def forward(self, primitives: Tensor) -> tuple[Tensor, Tensor]:
        """The same as one affine map from hidden vectors to logits: (W, K) and (K,)."""
        keys = self.operations()[primitives] / self.query.out_features**0.5
        return self.query.weight.T @ keys.T, keys @ self.query.bias


class JointHead(nn.Module):
    """Every slot by itself: logits_e = score(ReLU(W [x_e, g]))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)
        self.pooled = nn.Linear(width, width, bias=False)
        self.scorer = Scorer(width)

    def evaluate(self, scene: Scene, actions: Tensor | None = None) -> BMSoftmax:
        """The distribution, which does not depend on actions."""
        matrix, bias = self.scorer(scene.primitives)
        hidden = torch.relu(self.own(scene.slots) + self.pooled(scene.pooled).unsqueeze(1))
        return BMSoftmax(hidden @ matrix + bias + scene.offset, scene.mask)

    def sample(self, scene: Scene, choose: Choose) -> tuple[Tensor, BMSoftmax]:
        """Actions int64 (B, E) and the distribution that they are from."""
        distribution = self.evaluate(scene)
        return choose(distribution), distribution


class AutoregressiveHead(nn.Module):
    """Slot after slot: logits_e = score(ReLU(W [x_e, g] + C Σ_{s<e} Emb(s, a_s))).

    Emb(s, a) = ReLU(P x_s + embedding(a)) says what was chosen where.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)
        self.pooled = nn.Linear(width, width, bias=False)
        self.place = nn.Linear(width, width)
        self.choices = OperationEmbedding(width)
        self.context = nn.Linear(width, width, bias=False)
        self.scorer = Scorer(width)

    def _own(self, scene: Scene) -> Tensor:
        """(B, E, W): what a slot's hidden vector owes to no choice."""
        hidden: Tensor = self.own(scene.slots) + self.pooled(scene.pooled).unsqueeze(1)
        return hidden

    def evaluate(self, scene: Scene, actions: Tensor) -> BMSoftmax:
        """The distribution in which each slot is conditioned on the actions (B, E) of the slots before it."""
        matrix, bias = self.scorer(scene.primitives)
        chosen = torch.relu(self.place(scene.slots) + self.choices()[scene.primitives][actions])
        hidden = torch.relu(self._own(scene) + self.context(chosen.cumsum(1) - chosen))
        return BMSoftmax(hidden @ matrix + bias + scene.offset, live_mask(scene, actions))

    def sample(self, scene: Scene, choose: Choose) -> tuple[Tensor, BMSoftmax]:
        """Actions int64 (B, E) and the distribution that each is from, given those before it."""
        matrix, bias = self.scorer(scene.primitives)
        own, place, base = self._own(scene), self.place(scene.slots), scene.offset + bias
        choices, running = self.choices()[scene.primitives], torch.zeros_like(scene.pooled)
        masks = LiveMasks(scene)
        actions, distributions = [], []
        for e in range(own.shape[1]):
            hidden = torch.relu(torch.addmm(own[:, e], running, self.context.weight.T))
            logits = torch.addmm(base[:, e], hidden, matrix)
            distribution = BMSoftmax(logits.unsqueeze(1), masks.allowed(e).unsqueeze(1))
            action = choose(distribution).squeeze(1)
            masks.decide(e, action)
            running = running + torch.relu(place[:, e] + choices[action])
            actions.append(action)
            distributions.append(distribution)
        logits, mask = (torch.cat([getattr(d, part) for d in distributions], dim=1) for part in ("logits", "mask"))
        return torch.stack(actions, dim=1), BMSoftmax(logits, mask)


class LiveMasks:
    """The masks of slots in their order, given the choices before: null is refused where it would cut the last path."""

    def __init__(self, scene: Scene) -> None:
        self._mask, self._null = scene.mask, scene.null
        if self._null is not None:
            possible = torch.cat([scene.mask[..., : self._null], scene.mask[..., self._null + 1 :]], dim=-1).any(-1)
            self._path = LivePath(scene.active, possible, scene.wiring)

    def allowed(self, e: int) -> Tensor:
        """bool (B, K): what slot e may become."""
        mask = self._mask[:, e]
        if self._null is None:
            return mask
        mask = mask.clone()
        mask[:, self._null] &= self._path.may_null(e)
        return mask

    def decide(self, e: int, action: Tensor) -> None:
        """Records the choice (B,) of slot e."""
        if self._null is not None:
            self._path.decide(e, action != self._null)


def live_mask(scene: Scene, actions: Tensor) -> Tensor:
    """bool (B, E, K): the masks that decoding these actions (B, E) meets."""
    masks = LiveMasks(scene)
    allowed = []
    for e in range(actions.shape[1]):
        allowed.append(masks.allowed(e))
        masks.decide(e, actions[:, e])
    return torch.stack(allowed, dim=1)
