"""Parts of natrl where only a part of its packages is installed: the environments need few of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["needed"]


def needed(module: str, name: str, what: str = "") -> Any:
    """What a module of natrl's has by that name; errors call it `what`.

    ModuleNotFoundError in one line, which says how to install the rest, where it needs a package that is not there.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "natrl":
            raise
        missing = error.name.partition(".")[0]
    raise ModuleNotFoundError(
        f"{what or f'{module}.{name}'} needs the package {missing!r}, which is not installed (only environments do "
        "without, see envs/requirements.txt); pip install . in natrl's checkout installs all that natrl needs",
        name=missing,
    )
