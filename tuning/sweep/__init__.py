"""Sweeps: many runs through Ray Tune, over a search space in YAML."""

from typing import Any, TYPE_CHECKING

from natrl.checks.packages import needed

if TYPE_CHECKING:
    from natrl.tuning.sweep.plan import read_plan, SweepPlan
    from natrl.tuning.sweep.run import resume_sweep, run_sweep

__all__ = ["SweepPlan", "read_plan", "resume_sweep", "run_sweep"]


def __getattr__(name: str) -> Any:
    """What takes torch and Ray, on first use."""
    if name in __all__:
        return needed("natrl.tuning.sweep.run" if name.endswith("_sweep") else "natrl.tuning.sweep.plan", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
