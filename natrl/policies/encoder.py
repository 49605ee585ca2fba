"""Encoders: from the slots of an architecture to one vector per slot and one for the whole.

B batch, E slots, F features, V vocabulary, W width. No parameter depends on E or on the primitives of a space.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from natrl.core.operations import KERNELS, TYPES, VOCABULARY
from natrl.spaces import FEATURES

__all__ = ["FIRST_KERNELS", "FIRST_TYPES", "GraphEncoder", "LSTMEncoder", "OperationEmbedding"]


#: How many types and kernels the first vocabulary had.
FIRST_TYPES, FIRST_KERNELS = 8, 6


def _embedding(rows: int, first: int, width: int) -> nn.Embedding:
    """Rows of what was appended to the vocabulary are drawn apart: a seed draws the same of all else as before."""
    table = nn.Embedding(first, width)
    apart = torch.Generator().manual_seed(torch.initial_seed() % 2**62 + rows)
    more = torch.randn(rows - first, width, generator=apart)
    return nn.Embedding.from_pretrained(torch.cat([table.weight.detach(), more]), freeze=False)


class OperationEmbedding(nn.Module):
    """One vector per operation of the vocabulary, from an embedding of its type and one of its kernel."""

    types: Tensor
    kernels: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_type = _embedding(len(TYPES), FIRST_TYPES, width)
        self.of_kernel = _embedding(len(KERNELS), FIRST_KERNELS, width)
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width))
        operations = VOCABULARY.values()
        self.register_buffer("types", torch.tensor([TYPES.index(op.type) for op in operations]), persistent=False)
        self.register_buffer("kernels", torch.tensor([KERNELS.index(op.kernel) for op in operations]), persistent=False)

    def forward(self) -> Tensor:
        """(V, W): the vectors of all operations."""
        both: Tensor = self.of_type(self.types) + self.of_kernel(self.kernels)
        return both + self.mix(both)


class SlotEmbedding(nn.Module):
    """What a slot is by itself: its operation, its place, its stride; with a horizon above 1 also what is left of it.

    Before the last transform nothing is added, so that it is as if it were the only one.
    """

    def __init__(self, width: int, horizon: int) -> None:
        super().__init__()
        self.operations = OperationEmbedding(width)
        self.features = nn.Linear(len(FEATURES), width, bias=False)
        self.horizon = horizon
        if horizon > 1:
            self.left = nn.Parameter(torch.zeros(width))

    def forward(self, ops: Tensor, features: Tensor, left: Tensor | None, more: Tensor | None = None) -> Tensor:
        """(B, E, W) from vocabulary indices (B, E), features (B, E, F), transforms left (B,), and `more` (B, W)."""
        operations = nn.functional.embedding(ops.flatten(), self.operations())
        both = torch.addmm(operations, features.flatten(0, 1), self.features.weight.T).unflatten(0, ops.shape)
        if self.horizon > 1 and left is not None:
            both = both + ((left - 1) / (self.horizon - 1))[:, None, None] * self.left
        return both if more is None else both + more[:, None]


class GraphLayer(nn.Module):
    """A graph convolution: each slot sees itself, the slots before it, those after it, and the mean of all.

    x ← x + ReLU(W h + P V h + S U h + M mean(h)), h = LayerNorm(x): P averages over the slots before, S over those
    after. The papers' layer (arXiv 2102.10301, eq. 6) sees the slots in one direction only, and not even itself.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.local = nn.Linear(width, 3 * width)  # W, V, U
        self.pooled = nn.Linear(width, width, bias=False)  # M

    def forward(self, x: Tensor, views: Tensor) -> Tensor:
        """(B, E, W) from x (B, E, W) and the three views of each slot (B, E, 3E)."""
        h = self.norm(x)
        seen = self.local(h).reshape(x.shape[0], -1, x.shape[2])  # (B, 3E, W)
        return x + torch.relu(torch.baddbmm(self.pooled(h.mean(1, keepdim=True)), views, seen))


class GraphEncoder(nn.Module):
    """Slot embeddings and `layers` graph convolutions over the slots."""

    def __init__(self, width: int, layers: int, horizon: int = 1) -> None:
        super().__init__()
        self.embedding = SlotEmbedding(width, horizon)
        self.layers = nn.ModuleList(GraphLayer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, ops: Tensor, adjacency: Tensor, features: Tensor, left: Tensor | None = None, more: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Slot vectors (B, E, W) and the pooled vector (B, W). adjacency (B, E, E): [b, i, j] = 1, i leads to j."""
        views = three_views(adjacency)
        x = self.embedding(ops, features, left, more)
        for layer in self.layers:
            x = layer(x, views)
        x = self.norm(x)
        return x, x.mean(1)


class LSTMEncoder(nn.Module):
    """Slot embeddings read one after the other by an LSTM: the papers' ablation, blind to the graph."""

    def __init__(self, width: int, layers: int, horizon: int = 1) -> None:
        super().__init__()
        self.embedding = SlotEmbedding(width, horizon)
        self.lstm = nn.LSTM(width, width, num_layers=layers, batch_first=True)

    def forward(
        self, ops: Tensor, adjacency: Tensor, features: Tensor, left: Tensor | None = None, more: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Slot vectors (B, E, W) and the pooled vector (B, W)."""
        x, _ = self.lstm(self.embedding(ops, features, left, more))
        return x, x.mean(1)


def three_views(adjacency: Tensor) -> Tensor:
    """(B, E, 3E): row e weighs, for each slot in turn, its own view, that from the slots before and from those after.

    Its own is the slot itself; of the slots before it, and of those after it, it sees the average (0 where none is).
    """
    own = torch.eye(adjacency.shape[1], dtype=adjacency.dtype, device=adjacency.device).expand_as(adjacency)
    views = torch.stack([own, adjacency.transpose(1, 2), adjacency], dim=-1)  # (B, E, E, 3)
    return (views / views.sum(2, keepdim=True).clamp_min(1)).flatten(2)
