"""From a trained network to a cheaper one of the user's own class: learn, choose, fine-tune."""

from typing import Any, TYPE_CHECKING

from natrl.checks.packages import needed
from natrl.tuning.optimize.settings import OptimizeSettings

if TYPE_CHECKING:
    from natrl.tuning.optimize.result import Optimized
    from natrl.tuning.optimize.run import optimize

__all__ = ["OptimizeSettings", "Optimized", "optimize"]


def __getattr__(name: str) -> Any:
    """What takes torch and Ray, on first use."""
    if name in ("Optimized", "optimize"):
        return needed("natrl.tuning.optimize.run", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
