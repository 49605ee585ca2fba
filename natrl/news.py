"""What natrl says while it works: through the logger "natrl", on standard error.

`logging.getLogger("natrl").setLevel("WARNING")` makes it quiet, progress bars included; handlers of one's own on that
logger take the place of natrl's.
"""

from __future__ import annotations

import logging
import sys

__all__ = ["is_quiet", "say"]

LOGGER = logging.getLogger("natrl")


class _StandardError(logging.Handler):
    """Writes to what sys.stderr is then: notebooks and tests exchange it."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def say(*lines: str, level: int = logging.INFO) -> None:
    """Logs each line. (A logger whose level nobody has set would leave out what is no warning: here it is said.)"""
    if not LOGGER.handlers:
        LOGGER.addHandler(_StandardError())
        LOGGER.propagate = False
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)
    for line in lines:
        LOGGER.log(level, line)


def is_quiet() -> bool:
    """Whether only warnings are wanted."""
    return LOGGER.level > logging.INFO
