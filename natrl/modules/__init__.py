"""Networks of a user's own: their layers as slots, and what may take their place."""

from natrl.modules.importing import from_module
from natrl.modules.saved import load_module, save_module
from natrl.modules.space import ModuleSlot, ModuleSpace

__all__ = ["ModuleSlot", "ModuleSpace", "from_module", "load_module", "save_module"]
