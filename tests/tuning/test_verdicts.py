"""What is said of limits on counted costs, by hand."""

from __future__ import annotations

from natrl.core.operations import Cost
from natrl.policies.limits import Limits
from natrl.tuning.optimize.verdicts import counted_verdicts

BEFORE = Cost(params=2000, madds=20_000_000)


def test_limits_are_kept_or_not_and_by_how_much() -> None:
    after = Cost(params=1500, madds=12_000_000)
    assert counted_verdicts(BEFORE, after, Limits(madds="80%", params=1200)) == [
        "MAdds: kept, 25.0% below the limit: 12,000,000, 60.0% of the original's, at most 80.0% asked",
        "parameters: not kept, 25.0% above the limit: 1,500, 75.0% of the original's, at most 60.0% asked",
    ]
    assert counted_verdicts(BEFORE, after, Limits(madds=12_000_000))[0].startswith("MAdds: kept, 0.0% below")


def test_of_time_alone_nothing_is_said() -> None:
    assert counted_verdicts(BEFORE, BEFORE, Limits(latency="80%")) == []
