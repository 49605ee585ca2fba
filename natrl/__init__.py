"""natrl takes a neural network architecture and gives back one that is more accurate and never more expensive.

Importing natrl imports neither torch nor Ray; what needs them is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TYPE_CHECKING

from natrl.checks.packages import needed
from natrl.core.architecture import Architecture
from natrl.core.genotypes import parse, zoo
from natrl.core.operation_costs import operation_cost
from natrl.core.operations import Cost, Operation, operation
from natrl.core.registration import register_operation
from natrl.core.transitions import successors
from natrl.spaces import ChainSpace, network_cost, register_space, Skeleton, Space, space

if TYPE_CHECKING:
    from natrl.data import load_data
    from natrl.evaluation import Evaluator
    from natrl.modules import from_module, load_module
    from natrl.networks import build_network
    from natrl.policies import load_policy
    from natrl.runs.settings import RunSettings
    from natrl.tuning.door import evaluate, front, train, transform
    from natrl.tuning.optimize import optimize, OptimizeSettings

__version__ = "0.2.0"

#: Loaded on first use: many need torch or Ray.
_LAZY = {
    "Evaluator": "natrl.evaluation",
    "OptimizeSettings": "natrl.tuning.optimize",
    "RunSettings": "natrl.runs.settings",
    "build_network": "natrl.networks",
    "evaluate": "natrl.tuning.door",
    "from_module": "natrl.modules",
    "front": "natrl.tuning.door",
    "load_data": "natrl.data",
    "load_module": "natrl.modules",
    "load_policy": "natrl.policies",
    "optimize": "natrl.tuning.optimize",
    "train": "natrl.tuning.door",
    "transform": "natrl.tuning.door",
}
_PACKAGES = ("bench", "data", "drawing", "envs", "evaluation", "tuning")

__all__ = [
    "Architecture",
    "ChainSpace",
    "Cost",
    "Evaluator",
    "Operation",
    "OptimizeSettings",
    "RunSettings",
    "Skeleton",
    "Space",
    "build_network",
    "evaluate",
    "from_module",
    "front",
    "load_data",
    "load_module",
    "load_policy",
    "network_cost",
    "operation",
    "operation_cost",
    "optimize",
    "parse",
    "register_operation",
    "register_space",
    "space",
    "successors",
    "train",
    "transform",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return needed(_LAZY[name], name, f"natrl.{name}")
    if name in _PACKAGES:
        return import_module(f"natrl.{name}")
    raise AttributeError(f"module 'natrl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES, *(name for name in globals() if name.startswith("__"))})
