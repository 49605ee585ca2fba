"""The rows of benchmarks/modules.py as tables: in a terminal, and as docs/coverage.md."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Column, Table

__all__ = ["markdown", "table"]

Row = dict[str, Any]
COLUMNS = ("layers", "slots", "poolings", "wires", "moves", "movable", "seconds", "madds", "off")
CHECKS = ("identical", "identical_training", "transforms", "targets")
LONGEST = 10  # seconds to import
KINDS = {
    "classification": "torchvision: classification",
    "detection": "torchvision: detection",
    "segmentation": "torchvision: segmentation",
    "video": "torchvision: video",
    "timm": "timm",
}
HEAD = """| network | size | slots | with moves | share of the MAdds in them | fewest MAdds | import | `model.py` |
|---|---|---|---|---|---|---|---|
"""
PAGE = """# Coverage

Networks of torchvision and timm as natrl imports them, with random weights: what can move in each, and whether natrl
keeps what it promises. `natrl show torchvision:NAME` (or `timm:NAME`) says more of any one, of its layers by name.

This page is written by

```sh
python benchmarks/modules.py --transforms {transforms} --markdown coverage.md
```

(about ten seconds of CPU time a network; names such as `'torchvision:*'` or `'timm:vit_*'` choose others, and
`--rows FILE` keeps what is done). For each network it checks that

- identity is exact: the network built from its own architecture gives the same to the last bit, in evaluation mode and
  in training mode with the same random numbers (of a detector the losses for targets), running statistics included;
- costs are what torch's FlopCounterMode counts on real data, to 0.1 %, and parameters exactly (for detectors of two
  stages: with as many boxes in every image);
- random transforms ({transforms} of each network) cost what was promised and no more than the original, and run
  forward and backward, at a second size too where the network takes one;
- it is imported within {longest} s of CPU time.

{counts}

The columns: rows × columns of the images (frames before them); slots, and how many have a move; the share of the
network's MAdds in those; what is left of the MAdds at the least, with branches gone and ranks of an eighth (no promise
of accuracy); seconds to import; lines of `model.py`, the code of a random transform that needs torch alone and gives
the same to the last bit. Moves are those of types, kernels, ranks and branches:
[widths](own-network.md#what-a-slot-may-become) come on top.
"""


def table(rows: Iterable[Row]) -> Table:
    """One line a network, for a terminal."""
    rows = list(rows)
    said = [f"{row['network']}: {_wrong(row)}" for row in rows if _wrong(row)]
    shown = Table(Column("network", no_wrap=True), *COLUMNS, *CHECKS, caption="\n".join(said), caption_justify="left")
    for row in rows:
        values = [f"{v:.2g}" if isinstance(v, float) else str(v) for v in (row.get(c, "") for c in COLUMNS)]
        shown.add_row(row["network"], *values, *(str(row.get(c, "")) for c in CHECKS))
    return shown


def markdown(rows: Iterable[Row]) -> str:
    """The page of the documentation."""
    by_kind: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_kind["timm" if row["network"].startswith("timm:") else row["kind"]].append(row)
    groups = {title: by_kind[kind] for kind, title in KINDS.items() if by_kind[kind]}
    every = [row for group in groups.values() for row in group]
    page = PAGE.format(
        longest=LONGEST,
        transforms=max((int(row["transforms"].partition("/")[2]) for row in every if "transforms" in row), default=0),
        counts="\n".join(_counts(title, group) for title, group in groups.items()),
    )
    return page + "".join(f"\n## {title}\n\n{_section(group)}" for title, group in groups.items())


def _counts(title: str, rows: list[Row]) -> str:
    families = _families(rows)
    half = _families(row for row in rows if row.get("movable", 0) >= 0.5)
    whole = families - _families(row for row in rows if _wrong(row))
    kinds = "" if len(families) == len(rows) else f" of {len(families)} families"
    if title == "timm":
        import timm

        kinds = f" of {len(families)} families (timm {timm.__version__} has {len(timm.list_modules())} modules)"
    return (
        f"- **{title}**: {len(rows)} {'network' if len(rows) == 1 else 'networks'}{kinds}; at least half of the MAdds "
        f"in slots with moves: {_of(half, families)}; every check held: {_of(whole, families)}."
    )


def _of(found: set[str], families: set[str]) -> str:
    return "all" if found == families else f"{len(found)} of {len(families)}"


def _families(rows: Iterable[Row]) -> set[str]:
    return {row["family"] for row in rows}


def _section(rows: list[Row]) -> str:
    lines = HEAD + "".join(_line(row) + "\n" for row in sorted(rows, key=lambda row: (row["family"], row["network"])))
    notes = [f"{text}\n" for text in _notes(rows)]
    return lines + "".join(["\n", *notes] if notes else [])


def _line(row: Row) -> str:
    family, name = row["family"], row["network"].partition(":")[2]
    shown = f"{name} ({family})" if row["network"].startswith("timm:") and family not in name else name
    if "slots" not in row:
        return f"| {shown} | {row.get('size', '')} | | | | | | |"
    code = row.get("code")
    cells = (
        " / ".join(row.get("sizes", [str(row["size"])])),
        row["slots"] + row["poolings"],
        row["moving"],
        f"{100 * row['movable']:.0f} %",
        f"{100 * row['smallest']:.0f} %",
        f"{row['seconds']:.1f} s",
        f"{code:,}" if isinstance(code, int) else "no" if code else "",
    )
    return f"| {shown} | {' | '.join(map(str, cells))} |"


def _notes(rows: list[Row]) -> Iterator[str]:
    """What does not hold, and why."""
    for row in rows:
        if _wrong(row):
            yield f"- `{row['network']}`: {_wrong(row)}."
    for row in rows:
        if row.get("stays"):
            yield f"- `{row['network']}`: moves in {100 * row['movable']:.0f} % of the MAdds; {row['stays']}."
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if isinstance(row.get("code"), str):
            reasons[_short(row["code"])].append(row["network"].partition(":")[2])
    for reason, names in reasons.items():
        yield f"- No `model.py` of {', '.join(names)}: {reason}."


def _short(reason: str) -> str:
    """Without the name of the class, and what torch says in parentheses (but for shapes)."""
    return re.sub(r" \((?!\d).*", "", re.sub(r"^\w+ cannot be followed, ", "", reason)).rstrip(".")


def _wrong(row: Row) -> str:
    """Which checks do not hold."""
    found = [row["said"].rstrip(".")] if "said" in row else []
    if row.get("off", 0) > 0.001:
        found.append(f"its MAdds are {100 * row['off']:.1f} % from what torch counts")
    found += [f"not the same to the last bit in {mode} mode" for mode, key in MODES.items() if row.get(key) is False]
    if row.get("failed"):
        found.append(f"a random transform {row['failed']}")
    if row.get("seconds", 0) > LONGEST:
        found.append(f"it takes {row['seconds']:.0f} s to import")
    return "; ".join(found)


MODES = {"evaluation": "identical", "training": "identical_training"}
