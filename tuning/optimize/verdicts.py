"""What is said in the end: whether limits are kept, by how much, and whether fewer MAdds are slower."""

from __future__ import annotations

from natrl.core.operations import Cost
from natrl.policies.limits import LATENCIES, Limits
from natrl.spaces.budget import limit_of
from natrl.timing.latency import Latency
from natrl.tuning.optimize.result import Figures

__all__ = ["counted_verdicts", "verdicts"]

NAMES = {"madds": "MAdds", "params": "parameters"}


def verdicts(before: Figures, after: Figures, limits: Limits) -> tuple[str, ...]:
    """In sentences; the latencies were measured in turns."""
    said = counted_verdicts(before.cost, after.cost, limits)
    for kind, old, new in zip(LATENCIES, before.latency, after.latency, strict=True):
        if kind in limits.timed:
            said.append(_of_limit(kind, limits.seconds(kind, old.seconds) / old.seconds, new))
    if after.cost.madds < before.cost.madds:
        said += [
            f"fewer MAdds, and slower than the original: {_share(new)} of its time for {_images(new)} by {new.runtime}"
            for new in after.latency
            if new.share > 1
        ]
    return tuple(said)


def counted_verdicts(before: Cost, after: Cost, limits: Limits) -> list[str]:
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
    return said


def _of_limit(kind: str, limit: float, new: Latency) -> str:
    where = f"{_share(new)} of the original's time for {_images(new)} by {new.runtime}, at most {limit:.1%} asked"
    if new.share_high <= limit:
        return f"{kind}: kept, {1 - new.share / limit:.1%} below the limit: {where}"
    if new.share <= limit:
        return f"{kind}: kept, within what the measurement can tell: {where}"
    if new.share_low <= limit:
        return f"{kind}: exceeded, within what the measurement can tell: {where}"
    return f"{kind}: not kept when it was measured again, {new.share / limit - 1:.1%} above the limit: {where}"


def _share(new: Latency) -> str:
    return f"{new.share:.1%} ({new.share_low:.1%} to {new.share_high:.1%})"


def _images(new: Latency) -> str:
    return "one image" if new.batch == 1 else f"{new.batch} images"
