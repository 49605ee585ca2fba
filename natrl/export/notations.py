"""An architecture as text, in every notation that can say it."""

from __future__ import annotations

from collections.abc import Callable

from natrl.core.architecture import Architecture
from natrl.core.genotypes import to_darts, to_nasbench201, to_nat

__all__ = ["notations"]

_WRITERS: dict[str, Callable[[Architecture], str]] = {
    "darts.txt": to_darts,
    "nat.txt": to_nat,
    "nasbench201.txt": to_nasbench201,
}


def notations(architecture: Architecture) -> dict[str, str]:
    """File name → text, ending in a newline; `natrl.parse` reads each back.

    architecture.json always; darts.txt (pairs) and nat.txt (triples), or nasbench201.txt, where the architecture has
    such a form.
    """
    texts = {"architecture.json": architecture.to_json() + "\n"}
    for name, write in _WRITERS.items():
        try:
            texts[name] = write(architecture) + "\n"
        except ValueError:  # it is none of that kind
            continue
    return texts
