"""What the tests of policies share: observations, small spaces, untrained policies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from natrl.core.architecture import Architecture, Cell
from natrl.core.transitions import transition_matrix
from natrl.policies import Policy, PolicyConfig, PolicyNetwork
from natrl.spaces import encode, space

HEADS: tuple[str, ...] = ("joint", "autoregressive", "lstm")

#: Two inputs of output node 3: 0>1>3 and 0>2>3, with a shortcut 1>2. Five slots, three primitives.
SMALL_CELL = Cell("cell", 1, ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3)), (3,))
SMALL_PRIMITIVES = ("conv_3x3", "skip_connect", "null")


def small(*operations: str) -> Architecture:
    """An architecture of the small cell."""
    return Architecture((SMALL_CELL,), operations).validate()


def network(primitives: Sequence[str], head: str, *, seed: int = 0, width: int = 16, layers: int = 2) -> PolicyNetwork:
    """An untrained network with random logits of a size that matters (fresh ones are nearly uniform)."""
    torch.manual_seed(seed)
    made = PolicyNetwork(PolicyConfig(tuple(primitives), head, width, layers))
    with torch.no_grad():
        made.head.scorer.query.weight.normal_(0, 0.3)
        made.head.scorer.query.bias.normal_(0, 0.3)
    return made


def policy(name: str, head: str, *, seed: int = 0, rule: str = "nat++", cost: str = "strict") -> Policy:
    """An untrained policy of a registered space."""
    return Policy(network(space(name).primitives, head, seed=seed), name, rule, cost)  # type: ignore[arg-type]


def observe(architectures: Sequence[Architecture], primitives: Sequence[str]) -> dict[str, torch.Tensor]:
    """Observations with the masks of the rule alone."""
    allowed = transition_matrix(tuple(primitives))
    rows = np.array([[primitives.index(op) for op in a.operations] for a in architectures])
    arrays = encode(architectures) | {"action_mask": allowed[rows]}
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


def samples(name: str, n: int, seed: int = 0) -> list[Architecture]:
    """Random architectures of a registered space."""
    rng = np.random.default_rng(seed)
    return [space(name).sample(rng) for _ in range(n)]
