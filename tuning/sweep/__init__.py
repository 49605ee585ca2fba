"""Sweeps: many runs through Ray Tune, over a search space in YAML."""

from natrl.tuning.sweep.plan import read_plan, SweepPlan
from natrl.tuning.sweep.run import resume_sweep, run_sweep

__all__ = ["SweepPlan", "read_plan", "resume_sweep", "run_sweep"]
