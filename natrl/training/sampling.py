"""Which architecture trains the supernet's weights in which step.

E slots, K primitives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from natrl.core.architecture import Architecture
from natrl.spaces import Space

__all__ = ["ArchitectureSampler"]

TOPOLOGIES = 20  # tries to find a topology that drawn operations leave alive


class ArchitectureSampler:
    """Draws live architectures of a space, one a step.

    fair: in K consecutive draws every slot holds every primitive once, in random order (FairNAS, arXiv 1907.01845);
    topologies are the space's random ones. A draw that leaves every tried topology dead is passed over.
    Otherwise, and where a slot cannot hold every primitive, architectures are independent, as in NAT++ (arXiv
    2102.10301).
    """

    def __init__(self, space: Space, *, fair: bool, seed: int) -> None:
        self.space, self.fair = space, fair and space.is_free
        self._rng = np.random.default_rng(seed)
        self._round: list[list[int]] = []  # what is left of the K draws: primitives of the E slots

    def draw(self) -> Architecture:
        """The next architecture."""
        if not self.fair:
            return self.space.sample(self._rng)
        while True:
            if not self._round:
                k, e = len(self.space.primitives), self.space.n_slots
                self._round = self._rng.permuted(np.tile(np.arange(k)[:, None], e), axis=0).tolist()
            architecture = self._revived([self.space.primitives[k] for k in self._round.pop()])
            if architecture is not None:
                return architecture

    def _revived(self, operations: list[str]) -> Architecture | None:
        for _ in range(TOPOLOGIES):
            architecture = self.space.sample(self._rng).with_operations(operations)
            if architecture.is_live:
                return architecture
        return None

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from."""
        return {"rng": self._rng.bit_generator.state, "round": [list(draw) for draw in self._round]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._round = [list(draw) for draw in state["round"]]
