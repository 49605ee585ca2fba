"""Operations as torch modules, plain networks, and the supernet. Importing this package does not load torch yet."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from natrl.checks.packages import needed

if TYPE_CHECKING:
    from natrl.networks.cell_supernet import CellSupernet
    from natrl.networks.extract import extract_network
    from natrl.networks.network import build_network, Network

__all__ = ["Network", "CellSupernet", "build_network", "extract_network"]

_LAZY = {
    "Network": "network",
    "CellSupernet": "cell_supernet",
    "build_network": "network",
    "extract_network": "extract",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return needed(f"natrl.networks.{_LAZY[name]}", name)
    raise AttributeError(f"module 'natrl.networks' has no attribute {name!r}")
