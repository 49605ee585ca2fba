"""The command natrl, and python -m natrl."""

from __future__ import annotations

import sys

from natrl.checks.packages import needed

__all__ = ["main"]


def main() -> None:
    """`natrl.cli.main`; one line and exit code 2 where what it needs is not installed."""
    try:
        command = needed("natrl.cli", "main", "the command natrl")
    except ModuleNotFoundError as error:
        print(f"natrl: {error}", file=sys.stderr)
        sys.exit(2)
    command()


if __name__ == "__main__":
    main()
