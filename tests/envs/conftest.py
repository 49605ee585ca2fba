"""A display for tests on machines without one."""

from __future__ import annotations

import matplotlib
import pytest

from natrl.envs import viewer


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """matplotlib's Agg counts as a backend with windows; the seconds that windows stay are noted, not waited for."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    pauses: list[float] = []
    monkeypatch.setattr(viewer, "interactive_backends", lambda: {"agg"})
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setattr(pyplot, "pause", pauses.append)
    return pauses
