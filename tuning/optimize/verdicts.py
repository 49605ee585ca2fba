"""What is said of time in the end: whether limits are kept, by how much, and whether fewer MAdds are slower."""

from __future__ import annotations

from natrl.policies.limits import LATENCIES, Limits
from natrl.timing.latency import Latency
from natrl.tuning.optimize.result import Figures

__all__ = ["verdicts"]


def verdicts(before: Figures, after: Figures, limits: Limits) -> tuple[str, ...]:
    """In sentences; the latencies were measured in turns."""
    said = []
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
