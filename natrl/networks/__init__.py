"""Operations as torch modules, plain networks, and the supernet. Importing this package does not load torch yet."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TYPE_CHECKING

from natrl.networks.weight_settings import FAIR, PAPER, WeightSettings

if TYPE_CHECKING:
    from natrl.networks.extract import extract_network
    from natrl.networks.network import build_network, Network
    from natrl.networks.supernet import Supernet
    from natrl.networks.weights_training import SupernetTrainer

__all__ = [
    "FAIR",
    "PAPER",
    "Network",
    "Supernet",
    "SupernetTrainer",
    "WeightSettings",
    "build_network",
    "extract_network",
]

_LAZY = {
    "Network": "network",
    "Supernet": "supernet",
    "SupernetTrainer": "weights_training",
    "build_network": "network",
    "extract_network": "extract",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"natrl.networks.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'natrl.networks' has no attribute {name!r}")
