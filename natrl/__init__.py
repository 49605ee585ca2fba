"""natrl takes a neural network architecture and gives back one that is more accurate and never more expensive.

Importing natrl imports neither torch nor Ray; what needs them is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TYPE_CHECKING

from natrl.core.architecture import Architecture
from natrl.core.genotypes import parse, zoo
from natrl.core.operations import Cost, Operation, operation, operation_cost
from natrl.core.transitions import successors
from natrl.spaces import network_cost, register_space, Skeleton, Space, space

if TYPE_CHECKING:
    from natrl.modules import from_module
    from natrl.networks import build_network
    from natrl.policies import load_policy
    from natrl.tuning.modules import optimize

__version__ = "0.2.0"

__all__ = [
    "Architecture",
    "Cost",
    "Operation",
    "Skeleton",
    "Space",
    "build_network",
    "from_module",
    "load_policy",
    "network_cost",
    "operation",
    "operation_cost",
    "optimize",
    "parse",
    "register_space",
    "space",
    "successors",
    "zoo",
]

_LAZY = {
    "build_network": "natrl.networks",
    "from_module": "natrl.modules",
    "load_policy": "natrl.policies",
    "optimize": "natrl.tuning.modules",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'natrl' has no attribute {name!r}")
