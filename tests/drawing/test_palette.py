"""Colours that colour-blind readers can tell apart, on white and on dark paper."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from natrl.core.operations import VOCABULARY
from natrl.drawing.palette import Look, look_of, looks_of, VARIANT_LOOKS
from natrl.report.picture import DARK

#: What dichromats see of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1.
VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(1)
FAR = 15.0  # ΔE (CIE 1976); a difference of 2.3 is just noticed


def lab(colour: str, vision: str) -> np.ndarray:
    """CIE L*a*b* of a colour as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def too_close(colours: dict[str, str], vision: str) -> list[tuple[str, str]]:
    seen = {name: lab(colour, vision) for name, colour in colours.items()}
    return [(a, b) for a, b in combinations(seen, 2) if np.linalg.norm(seen[a] - seen[b]) < FAR]


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("screen", ["light", "dark"])
@pytest.mark.parametrize("what", ["operations", "variants"])
def test_colours_are_told_apart(what, screen, vision):
    looks: list[Look] = list(looks_of(VOCABULARY)) if what == "operations" else [v for v, _ in VARIANT_LOOKS.values()]
    assert len(looks) == (11 if what == "operations" else 3)
    swapped = DARK if screen == "dark" else {}
    assert not too_close({look.label: swapped.get(look.color.lower(), look.color) for look in looks}, vision)


def test_colours_that_are_not_told_apart_are_noticed():
    """A reddish purple and a grey of its lightness, which deuteranopes mix up."""
    purple, grey = look_of("dil_conv_3x3").color, "#9a9a9a"
    assert too_close({"purple": purple, "grey": grey}, "deuteranopia")
    assert not too_close({"purple": purple, "grey": grey}, "usual")


def test_legends_list_each_kind_once_in_one_order():
    labels = [look.label for look in looks_of(["null", "conv_3x3", "skip_connect", "conv_5x5"])]
    assert labels == ["convolution", "skip", "null (nothing)"]
