"""`natrl train` on the cluster that this script runs in: ray submit tuning/cluster/aws.yaml tuning/train.py -- --out …

Everything after `--` are options of `natrl train`; docs/cluster.md walks through it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str]) -> None:
    """Becomes `natrl train`, which joins the running Ray; an --address among the arguments wins."""
    os.execv(sys.executable, [sys.executable, "-m", "natrl", "train", "--address", "auto", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
