"""Architectures as text."""

from __future__ import annotations

from natrl.architecture import Architecture

__all__ = ["describe"]


def describe(before: Architecture, after: Architecture, score_before: float, score_after: float) -> str:
    """One line a slot, changed operations marked by an arrow, and the scores."""
    lines = []
    for slot, old, new in zip(after.slots, before.operations, after.operations, strict=True):
        change = f"{old} → {new}" if old != new else new
        lines.append(f"{slot.cell:>8} {slot.source}→{slot.target}  {change}")
    lines.append(f"score {score_before:.4f} → {score_after:.4f}, {len(before.changes(after))} slots changed")
    return "\n".join(lines)
