"""Whose code it is: Python's, natrl's or an installed package's, or the user's own."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["is_installed", "is_library", "is_library_file", "version_of"]

_STANDARD = Path(os.__file__).parent  # the folder of Python's own modules
_INSTALLED = {"site-packages", "dist-packages"}


@cache
def is_library_file(file: str) -> bool:
    """Whether a module's file lies in the folders of Python or of its packages."""
    path = Path(os.path.abspath(file))
    return _STANDARD in path.parents or not _INSTALLED.isdisjoint(path.parts)


@cache
def is_library(name: str) -> bool:
    """Whether a module belongs to Python, to natrl, or to an installed package."""
    top = name.partition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    if top == "natrl" or file is None:
        return top == "natrl" or top in sys.builtin_module_names
    return is_library_file(file)  # a user's module may be called like one of Python's


def is_installed(value: Any) -> bool:
    """Whether a package or Python itself defines this function or class under its name."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None or not is_library(module.__name__):
        return False
    found: Any = module
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def version_of(name: str) -> str:
    """Of the package that a module belongs to; "" where it has none."""
    top = sys.modules.get(name.partition(".")[0])
    return str(getattr(top, "__version__", "")) if top is not None and is_library(name) else ""
