"""Architectures before and after, as the report shows them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from natrl.core.architecture import Architecture
from natrl.core.genotypes import parse
from natrl.drawing.architectures import architecture_figure
from natrl.drawing.frames import change_frame
from natrl.report.picture import Picture, picture
from natrl.report.results import Results
from natrl.report.scores import CandidateScores, chosen_frame
from natrl.spaces import Skeleton

__all__ = ["Portrait", "portraits_of_candidates", "portraits_of_results"]


@dataclass(frozen=True)
class Portrait:
    """One original, what was made of it, and its picture."""

    name: str
    picture: Picture
    slots: int
    changes: dict[str, pd.DataFrame]  # change_frame by variant


def portraits_of_results(results: Results) -> list[Portrait]:
    """A portrait of each name: before and after where it was transformed, else the architecture alone."""
    by_name: dict[str, dict[str, Architecture]] = {}
    for row in results.rows:
        by_name.setdefault(row.name, {})[row.variant] = row.architecture
    return [_portrait(name, variants, results.skeleton) for name, variants in by_name.items()]


def portraits_of_candidates(scores: CandidateScores, n: int) -> list[Portrait]:
    """Portraits of the first n originals and the candidate that was chosen for each, by its score; of cells alone."""
    if scores.skeleton is None:
        return []
    chosen = chosen_frame(scores)
    best = chosen[(chosen["method"] == "policy") & (chosen["choice"] == "best")].set_index("name")["architecture"]
    rows = scores.rows[scores.rows["method"] == "original"].set_index("name")["architecture"]
    pairs = [(name, {"original": parse(rows[name]), "transformed": parse(best[name])}) for name in best.index[:n]]
    return [_portrait(name, variants, scores.skeleton) for name, variants in pairs]


def _portrait(name: str, variants: dict[str, Architecture], skeleton: Skeleton) -> Portrait:
    original, transformed = variants.get("original"), variants.get("transformed")
    shown = transformed or original or variants["random"]
    before = original if shown != original else None
    figure = architecture_figure(shown, before=before, networks=skeleton)
    text = f"{name} before and after, changed slots numbered" if before else f"Architecture {name}"
    changes: dict[str, pd.DataFrame] = {}
    if original:
        others = {variant: a for variant, a in variants.items() if variant != "original"}
        changes = {variant: change_frame(original, a, skeleton) for variant, a in others.items()}
    return Portrait(name, picture(figure, text), len(shown.operations), changes)
