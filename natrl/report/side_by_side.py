"""Networks made from one, side by side: accuracy, cost and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from natrl import formats
from natrl.report.tables import empty_table
from natrl.timing.latency import Latency

__all__ = ["Compared", "side_by_side_sentence", "side_by_side_table"]


@dataclass(frozen=True)
class Compared:
    """One of them. The first of a comparison is the original."""

    name: str
    accuracy: float  # test, in [0, 1]
    madds: int
    params: int
    latency: tuple[Latency, ...]  # measured in turns with the others'
    seconds: float  # of finding it (natrl's: fine-tuning included); 0 for the original
    evaluations: int  # networks that were scored on the way


def side_by_side_table(networks: Sequence[Compared], *, title: str) -> Table:
    """A row a network; costs and times as shares of the first one's."""
    first = networks[0]
    times = [f"time, {latency.batch} image{'s' * (latency.batch > 1)}>" for latency in first.latency]
    table = empty_table(title, "network", "test accuracy (%)>", "MAdds>", "parameters>", *times, "evaluations>")
    for network in networks:
        shares = [network.madds / first.madds, network.params / first.params]
        shares += [own.seconds / other.seconds for own, other in zip(network.latency, first.latency, strict=True)]
        table.add_row(
            network.name,
            formats.accuracy(network.accuracy),
            *(f"{share:.0%}" for share in shares),
            str(network.evaluations or ""),
            style="bold" if network.name.startswith("natrl") else "",
        )
    return table


def side_by_side_sentence(networks: Sequence[Compared]) -> str:
    """What it shows, of the last one."""
    first, last = networks[0], networks[-1]
    madds, params = last.madds / first.madds, last.params / first.params
    time = last.latency[-1].seconds / first.latency[-1].seconds
    return (
        f"{last.name}: {madds:.0%} of the MAdds, {params:.0%} of the parameters and {time:.0%} of the time for "
        f"{first.latency[-1].batch} images, with {formats.accuracy(last.accuracy)} % of the test images right "
        f"({formats.accuracy(first.accuracy)} % before)."
    )
