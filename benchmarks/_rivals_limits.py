"""What a network may take: a share of the original's MAdds, or of its time."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from _options import percentage
from _rivals_job import Found, Job
from _rivals_measuring import BATCHES, madds, RUNTIMES, shares_of_time
from torch import nn

__all__ = ["EVERYTHING", "TIMES", "Limit"]

STEPS = 20  # shares of the MAdds, among which the largest is sought whose network is fast enough
TIMES_REPEAT = 0.02  # measured shares of time do so within this share of themselves
TIMES = {f"{runtime}_{batch}": (runtime, batch) for runtime in RUNTIMES for batch in BATCHES}
LATENCIES = dict(zip(BATCHES, ("latency", "batch_latency"), strict=True))  # as natrl.optimize calls them


@dataclass(frozen=True)
class Limit:
    """At most this share of what the original takes, of `what`: madds, or one of TIMES."""

    share: float  # in (0, 1]
    what: str = "madds"

    @staticmethod
    def read(text: str) -> Limit:
        """From "50%", of the MAdds, or "onnxruntime_32=50%". argparse.ArgumentTypeError where it is neither."""
        what, _, share = text.rpartition("=")
        if what and what not in TIMES:
            names = ", ".join(TIMES)
            raise argparse.ArgumentTypeError(f"must be a share of the MAdds, or of one of {names}, got {text!r:.60}")
        return Limit(float(percentage(share).rstrip("%")) / 100, what or "madds")

    def __str__(self) -> str:
        return ("" if self.what == "madds" else f"{self.what}=") + f"{100 * self.share:g}%"

    @property
    def for_optimize(self) -> tuple[dict[str, str], dict[str, Any]]:
        """The budget of natrl.optimize, and what its settings say besides."""
        if self.what == "madds":
            return {"madds": f"{self.share:.4%}"}, {}
        runtime, batch = TIMES[self.what]
        return {LATENCIES[batch]: f"{self.share:.4%}"}, {"runtime": runtime}

    def is_kept(self, network: nn.Module, job: Job, times: Mapping[str, float]) -> bool:
        """`times`: shares of time that are known already."""
        if self.what == "madds":
            return madds(network, job.example) <= self.share * job.madds
        taken = times[self.what] if self.what in times else self._taken(network, job)
        return taken <= self.share * (1 + TIMES_REPEAT)

    def _taken(self, network: nn.Module, job: Job) -> float:
        """RuntimeError where the runtime cannot tell."""
        runtime, batch = TIMES[self.what]
        found = shares_of_time(network, job.model, job.example, [runtime], [batch])
        if not found:
            raise RuntimeError(f"{runtime} is not installed, or cannot run the network")
        return found[self.what]

    def within_time(self, job: Job, find: Callable[[Limit], Found]) -> Found:
        """What a method that knows MAdds alone finds at the largest share of them that is fast enough.

        ValueError where none is.
        """
        best, why = None, f"nothing keeps to {self}"
        low, high = 0, STEPS  # too many or too slow above
        while high - low > 1:
            middle = (low + high) // 2
            try:
                found = find(Limit(middle / STEPS))
            except ValueError as error:  # it cannot make so small a network
                low, why = middle, str(error)
                continue
            if self._taken(found.network, job) <= self.share:
                best, low = found, middle
            else:
                high = middle
        if best is None:
            raise ValueError(why)
        return best


EVERYTHING = Limit(1.0)
