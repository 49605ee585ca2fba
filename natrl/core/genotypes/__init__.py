"""Readers and writers for the notations in which the field writes architectures down.

Text is parsed, never evaluated. What can be read in more than one way is refused.
"""

from natrl.core.genotypes.darts import to_darts, to_nat
from natrl.core.genotypes.nasbench201 import (
    nasbench201_architecture,
    NASBENCH201_CELL,
    NASBENCH201_OPERATIONS,
    to_nasbench201,
)
from natrl.core.genotypes.reading import is_file, parse
from natrl.core.genotypes.zoo import zoo

__all__ = [
    "NASBENCH201_CELL",
    "NASBENCH201_OPERATIONS",
    "is_file",
    "nasbench201_architecture",
    "parse",
    "to_darts",
    "to_nasbench201",
    "to_nat",
    "zoo",
]
