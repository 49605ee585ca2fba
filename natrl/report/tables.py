"""Tables for the terminal (Rich): the slots of an architecture, the changes of a transform, a comparison.

They fit 80 columns for the architectures of the zoo.
"""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from natrl import formats
from natrl.core.architecture import Architecture
from natrl.drawing.frames import change_frame, slot_frame
from natrl.report.frames import comparison_frame, summary_frame
from natrl.report.results import Results
from natrl.spaces.networks import Networks

__all__ = [
    "COMPARISON_NOTE",
    "change_table",
    "comparison",
    "comparison_table",
    "empty_table",
    "slot_table",
    "summary_line",
]

#: What the columns of a comparison mean.
COMPARISON_NOTE = (
    "accuracy: mean ± standard deviation over seeds; difference: from the original ± its standard error from the seeds "
    "of both; random: another valid transformation of the nearest MAdds, drawn at random; live: without the parts that "
    "no path from input to output uses; ratio: of MAdds to the original's"
)
STYLES = {"original": "", "transformed": "bold", "random": "dim"}


def slot_table(architecture: Architecture, networks: Networks, *, title: str | None = None) -> Table:
    """One row a slot: its number, cell and nodes, operation, parameters and MAdds over all cells of the network.

    Operations on no path from input to output are marked dead. Below: what is no slot, and the whole network.
    """
    frame = slot_frame(architecture, networks)
    whole = networks.cost(architecture)
    table = empty_table(title, "#>", "slot", "operation", "parameters>", "MAdds>")
    for slot in frame.itertuples():
        dead = not slot.live and slot.operation != "null"
        table.add_row(
            str(slot.Index),
            _place(slot),
            f"{slot.operation} (dead)" if dead else slot.operation,
            formats.count(slot.params),
            formats.count(slot.madds),
            style="" if slot.live else "dim",
            end_section=slot.Index + 1 == len(frame) or frame.at[slot.Index + 1, "cell"] != slot.cell,
        )
    rest = (whole.params - frame["params"].sum(), whole.madds - frame["madds"].sum())
    table.add_row("", "", "stem, preprocessing, classifier", *map(formats.count, rest))
    table.add_row("", "", "the whole network", formats.count(whole.params), formats.count(whole.madds), style="bold")
    return table


def change_table(before: Architecture, after: Architecture, networks: Networks, *, title: str | None = None) -> Table:
    """One row a changed slot: what it was and is, and what that takes off the network in parameters and MAdds."""
    frame = change_frame(before, after, networks)
    table = empty_table(title, "slot", "before → after", "parameters>", "MAdds>")
    for slot in frame.itertuples():
        savings = (_saving(slot.params, slot.params_share), _saving(slot.madds, slot.madds_share))
        table.add_row(_place(slot), f"{slot.before} → {slot.after}", *savings)
    table.add_section()
    total = frame.sum(numeric_only=True)
    savings = (_saving(total["params"], total["params_share"]), _saving(total["madds"], total["madds_share"]))
    table.add_row("", f"{len(frame)} changed of {len(before.operations)} slots", *savings, style="bold")
    return table


def comparison_table(results: Results) -> Table:
    """Each original and below it what was made of it: costs, accuracy ± spread, difference ± its seed noise."""
    title = f"{results.data}: {results.metric} accuracy, {_seeds(results)}"
    headings = ("params>", "MAdds>", "live MAdds>", "ratio>", "accuracy (%)>", "difference (points)>")
    table = empty_table(title, "architecture", *headings, caption=COMPARISON_NOTE)
    frame = comparison_frame(results)
    for name in results.names:
        table.add_section()
        for i, row in enumerate(frame[frame["name"] == name].itertuples()):
            changed = row.variant != "original"
            table.add_row(
                Text(name if i == 0 and not changed else f" {row.variant}" if i else f"{name} ({row.variant})"),
                formats.count(row.params),
                formats.count(row.madds),
                formats.count(row.live_madds),
                formats.ratio(row.madds_ratio) if changed else "",
                formats.accuracy(row.accuracy, row.spread),
                formats.points(row.difference, row.noise) if changed else "",
                style=STYLES[row.variant],
            )
    return table


def comparison(results: Results) -> Group:
    """The comparison table, what was changed in each architecture, and the summary line."""
    changes = _all_changes(results)
    parts: list[RenderableType] = [comparison_table(results)]
    return Group(*parts, *([changes] if changes.row_count else []), Text(summary_line(results)))


def summary_line(results: Results) -> str:
    """In one sentence: mean MAdds ratios, mean accuracy differences ± standard error over architectures."""
    summary = summary_frame(results)
    if summary.empty:
        return f"{len(results.rows)} architectures trained on {results.data}, {_seeds(results)} each."
    parts = [
        f"{variant} {formats.ratio(row.madds_ratio)} MAdds, {formats.points(row.difference, row.error)} points"
        for variant, row in summary.drop(index="gain", errors="ignore").iterrows()
    ]
    if "gain" in summary.index:
        gain = summary.loc["gain"]
        parts.append(f"transformed against random {formats.points(gain.difference, gain.error)} points")
    n = summary["n"].iloc[0]
    many = f"mean of {n} architectures ± standard error, {_seeds(results)} each" if n > 1 else _seeds(results)
    return f"Against the original ({results.metric} accuracy on {results.data}; {many}): {'; '.join(parts)}."


def _all_changes(results: Results) -> Table:
    table = empty_table("Changes", "architecture", "slot", "before → after", "params>", "MAdds>")
    rows = [row for name in results.names for row in results.rows if row.name == name]
    for row in rows:
        original = results.row(row.name, "original")
        if row is original or original is None:
            continue
        table.add_section()
        label = row.name if row.variant == "transformed" else f" {row.variant}"
        style = "dim" if row.variant == "random" else ""
        frame = change_frame(original.architecture, row.architecture, results.skeleton)
        if frame.empty:
            table.add_row(Text(label), "", "kept as it is", style=style)
        for slot in frame.itertuples():
            shares = (formats.signed_percent(-slot.params_share), formats.signed_percent(-slot.madds_share))
            table.add_row(Text(label), _place(slot), f"{slot.before} → {slot.after}", *shares, style=style)
            label = ""
    return table


def empty_table(title: str | None, *headings: str, caption: str | None = None) -> Table:
    """An empty table; the column of a heading that ends with ">" holds numbers."""
    table = Table(
        title=Text(title, style="bold") if title else None,
        caption=caption,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        title_justify="left",
        caption_justify="left",
    )
    for heading in headings:
        if heading.endswith(">"):
            table.add_column(heading[:-1], justify="right", no_wrap=" " not in heading)
        else:
            table.add_column(heading, overflow="fold")
    return table


def _place(slot: Any) -> Text:
    """Where a row of a frame is: "normal 0→2"."""
    return Text(f"{slot.cell} {slot.source}→{slot.target}")


def _saving(count: float, share: float) -> str:
    """What a saving does to the count: "−26.61 k (−29.3 %)"."""
    sign = "−" if count > 0 else "+" if count < 0 else "±"
    return f"{sign}{formats.count(abs(count))} ({formats.signed_percent(-share)})"


def _seeds(results: Results) -> str:
    return f"{len(results.seeds)} seeds" if len(results.seeds) > 1 else "1 seed"
