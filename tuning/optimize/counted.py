"""What is said of counted costs in the end: whether limits are kept, and by how much."""

from __future__ import annotations

from natrl.core.operations import Cost
from natrl.policies.limits import Limits
from natrl.spaces.budget import limit_of

__all__ = ["counted_verdicts"]

NAMES = {"madds": "MAdds", "params": "parameters"}


def counted_verdicts(before: Cost, after: Cost, limits: Limits) -> tuple[str, ...]:
    """A sentence for each limit on MAdds or parameters; counted in the network that was chosen."""
    said = []
    for kind, name in NAMES.items():
        old, new = getattr(before, kind), getattr(after, kind)
        limit = limit_of(kind, getattr(limits, kind), old)
        if limit is None:
            continue
        share, asked = f"{new / max(old, 1):.1%} of the original's", f"at most {limit / max(old, 1):.1%} asked"
        kept = new <= limit
        by = f"{abs(1 - new / max(limit, 1)):.1%} {'below' if kept else 'above'} the limit"
        said.append(f"{name}: {'kept' if kept else 'not kept'}, {by}: {new:,}, {share}, {asked}")
    return tuple(said)
