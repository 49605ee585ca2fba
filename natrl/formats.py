"""How numbers are written in tables, pictures and reports."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

__all__ = [
    "accuracy",
    "change",
    "count",
    "layers",
    "milliseconds",
    "nats",
    "points",
    "rank",
    "ratio",
    "score",
    "seconds",
    "signed_percent",
]

MINUS = "−"
MISSING = "–"


def count(n: float) -> str:
    """Parameters or MAdds to four digits: 812, 42.10 k, 3.798 M, 1.674 G; missing (NaN) as a dash."""
    if math.isnan(n):
        return MISSING
    if abs(n) < 1000:
        return f"{n:.0f}".replace("-", MINUS)
    power, unit = next((p, u) for p, u in ((3, "k"), (6, "M"), (9, "G")) if abs(n) < 10 ** (p + 3) or p == 9)
    return f"{n / 10**power:#.4g}".rstrip(".").replace("-", MINUS) + f" {unit}"


def rank(value: float | None) -> str:
    """A rank correlation: "−0.12"; undefined (None or NaN) as a dash."""
    return MISSING if value is None or math.isnan(value) else f"{value:.2f}".replace("-", MINUS)


def ratio(value: float) -> str:
    """0.789 → "0.79 ×"."""
    return MISSING if math.isnan(value) else f"{value:.2f} ×"


def score(value: float) -> str:
    """A figure in a unit of the user's, to five digits."""
    return f"{value:.5g}".replace("-", MINUS)


def milliseconds(seconds: float, spread: float = math.nan) -> str:
    """A time in milliseconds, ± half its spread: "0.404 ± 0.032", "1,480 ± 110"; never as a power of ten."""
    return _figure(1e3 * seconds, 3) + ("" if math.isnan(spread) else f" ± {_figure(1e3 * spread / 2, 2)}")


def _figure(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e+" in text else text


def accuracy(mean: float, spread: float = math.nan) -> str:
    """Accuracies in [0, 1] as percentages: "97.12 ± 0.45"; without the spread where it is missing (one seed)."""
    if math.isnan(mean):
        return MISSING
    return f"{100 * mean:.2f}" + ("" if math.isnan(spread) else f" ± {100 * spread:.2f}")


def points(difference: float, noise: float = math.nan) -> str:
    """A difference of accuracies in percentage points: "+0.15 ± 0.27"."""
    if math.isnan(difference):
        return MISSING
    return _signed(100 * difference, 2) + ("" if math.isnan(noise) else f" ± {100 * noise:.2f}")


def nats(difference: float, noise: float = math.nan) -> str:
    """A difference of cross-entropies: "+0.151 ± 0.027 nats"."""
    if math.isnan(difference):
        return MISSING
    return _signed(difference, 3) + ("" if math.isnan(noise) else f" ± {noise:.3f}") + " nats"


def signed_percent(share: float) -> str:
    """A share with its sign: −0.123 → "−12.3 %"; what rounds to nothing is "±0.0 %"."""
    return f"{_signed(100 * share, 1)} %"


def seconds(value: float) -> str:
    """A duration: "42 s", "3 min 05 s", "2 h 10 min"."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def change(before: str, after: str, *, arrow: str = "→", longest: int | None = None) -> str:
    """What became of a layer: "conv_3x3 → sep_conv_3x3"; of one that stays, or only gets narrower, what it is now.

    `longest`: so many characters of each at most.
    """
    same = after == before or after.startswith(f"{before},")
    return after[:longest] if same else f"{before[:longest]} {arrow} {after[:longest]}"


def layers(names: Iterable[str]) -> str:
    """Names of layers, those that differ in numbers alone written once: "layer[1-3].[0,1].conv2 (6), head".

    Where numbers are in brackets, not every combination of them need be there: how many are stands behind.
    """
    alike: dict[tuple[str, ...], list[list[str]]] = {}
    for name in names:
        parts = re.split(r"(\d+)", name)
        alike.setdefault(tuple(parts[::2]), []).append(parts[1::2])
    found = []
    for texts, numbers in alike.items():
        spans = [_span(sorted({int(n) for n in column})) for column in zip(*numbers, strict=True)]
        name = "".join(text + span for text, span in zip(texts, [*spans, ""], strict=True))
        found.append(f"{name} ({len(numbers)})" if len(numbers) > 1 else name)
    return ", ".join(found)


def _span(numbers: list[int]) -> str:
    """Sorted numbers: "4", "[0,1]", "[1-4,6]"."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs]
    return f"[{','.join(texts)}]" if len(numbers) > 1 else texts[0]


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return "±" + text[1:] if not text.strip("+-0.") else text.replace("-", MINUS)
