"""Heads: from encoded slots to a distribution over the operations of every slot.

B batch, E slots, K primitives, W width. An operation is scored by its embedding, so K is free. The autoregressive head
decides slot after slot: a slot's logits depend on the choices before it, and what would cut the last path from input to
output, or exceed a budget, is masked (natrl.policies.masks). Slots are encoded once; a choice reaches the slots after
it through a running sum, so teacher forcing is one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn, Tensor

from natrl.policies.bmsoftmax import BMSoftmax
from natrl.policies.encoder import OperationEmbedding
from natrl.policies.masks import Masks
from natrl.policies.tightness import Tightness

__all__ = ["AutoregressiveHead", "Choose", "JointHead", "Scene"]

#: How actions are taken from a distribution: its mode, or a sample.
Choose = Callable[[BMSoftmax], Tensor]


class Scene(NamedTuple):
    """What a head decides on."""

    slots: Tensor  # float (B, E, W): encoded slots
    pooled: Tensor  # float (B, W): the encoded architecture
    mask: Tensor  # bool (B, E, K): False = forbidden
    primitives: Tensor  # int64 (K,): vocabulary index of each primitive
    offset: Tensor  # float (B, E, K): added to the logits
    masks: Masks  # those of slots in their order, given the choices before; to be used once
    slack: Tightness | None = None  # what the budget that is left adds to hidden vectors


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
        hidden = self._own(scene) + self.context(chosen.cumsum(1) - chosen)
        allowed, tightness = scene.masks.replay(actions)
        if scene.slack is not None and tightness is not None:
            hidden = hidden + scene.slack(tightness)
        return BMSoftmax(torch.relu(hidden) @ matrix + bias + scene.offset, allowed)

    def sample(self, scene: Scene, choose: Choose) -> tuple[Tensor, BMSoftmax]:
        """Actions int64 (B, E) and the distribution that each is from, given those before it."""
        matrix, bias = self.scorer(scene.primitives)
        own, place, base = self._own(scene), self.place(scene.slots), scene.offset + bias
        choices, running = self.choices()[scene.primitives], torch.zeros_like(scene.pooled)
        actions, distributions = [], []
        for e in range(own.shape[1]):
            allowed, tightness = scene.masks.allowed(e)
            hidden = torch.addmm(own[:, e], running, self.context.weight.T)
            if scene.slack is not None and tightness is not None:
                hidden = hidden + scene.slack(tightness)
            logits = torch.addmm(base[:, e], torch.relu(hidden), matrix)
            distribution = BMSoftmax(logits.unsqueeze(1), allowed.unsqueeze(1))
            action = choose(distribution).squeeze(1)
            scene.masks.decide(e, action)
            running = running + torch.relu(place[:, e] + choices[action])
            actions.append(action)
            distributions.append(distribution)
        logits, mask = (torch.cat([getattr(d, part) for d in distributions], dim=1) for part in ("logits", "mask"))
        return torch.stack(actions, dim=1), BMSoftmax(logits, mask)
