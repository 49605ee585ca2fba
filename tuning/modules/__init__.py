"""From a trained network to a cheaper one of the user's own class: learn, choose, fine-tune."""

from natrl.tuning.modules.optimization import optimize
from natrl.tuning.modules.result import Optimized
from natrl.tuning.modules.settings import OptimizeSettings

__all__ = ["OptimizeSettings", "Optimized", "optimize"]
