"""Digests: a short name for any value, so that what depends on equal values is found again, and on others is not.

A value is described by its contents, never by its identity: numbers, text and containers by what they hold, arrays,
tensors and networks by every entry, functions and classes by their bytecode and by what that reads (defaults, closures,
globals). What Python or an installed package defines is known by its name and the package's version. So the digest is
the same in every process, and another one where anything of it was changed.
"""

from natrl.digests.values import digest

__all__ = ["digest"]
