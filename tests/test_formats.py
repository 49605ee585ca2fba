import math

import pytest

from natrl import formats


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"),
        (812, "812"),
        (999, "999"),
        (1000, "1.000 k"),
        (42_101, "42.10 k"),
        (999_960, "1000 k"),
        (3_797_974, "3.798 M"),
        (548_427_168, "548.4 M"),
        (1_673_814_240, "1.674 G"),
        (4_673_814_240_000, "4674 G"),
        (-26_610, "−26.61 k"),
        (math.nan, "–"),
    ],
)
def test_count(n, text):
    assert formats.count(n) == text


@pytest.mark.parametrize(
    ("share", "text"), [(-0.1234, "−12.3 %"), (0.005, "+0.5 %"), (0.0, "±0.0 %"), (-0.0004, "±0.0 %")]
)
def test_signed_percent(share, text):
    assert formats.signed_percent(share) == text


def test_accuracies_and_differences():
    assert formats.accuracy(0.97123, 0.0045) == "97.12 ± 0.45"
    assert formats.accuracy(0.97123) == "97.12"
    assert formats.points(0.0015, 0.0027) == "+0.15 ± 0.27"
    assert formats.points(-0.0101) == "−1.01"
    assert formats.points(math.nan, math.nan) == formats.ratio(math.nan) == formats.accuracy(math.nan) == "–"
    assert formats.ratio(0.789) == "0.79 ×"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["stem", "head"], "stem, head"),
        (["layer1.0.conv1"], "layer1.0.conv1"),
        (["layer1.0.conv2", "layer1.1.conv2", "layer2.0.conv2", "fc"], "layer[1,2].[0,1].conv2 (3), fc"),
        (["f.1", "f.2", "f.3", "f.10", "g.1"], "f.[1-3,10] (4), g.1"),
        ([], ""),
    ],
)
def test_layers(names, text):
    assert formats.layers(names) == text


@pytest.mark.parametrize(("value", "text"), [(41.6, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_seconds(value, text):
    assert formats.seconds(value) == text


def test_milliseconds():
    assert formats.milliseconds(0.00040412) == "0.404"
    assert formats.milliseconds(0.02546, 0.064) == "25.5 ± 32"
    assert formats.milliseconds(1.4802, 0.2208) == "1,480 ± 110"
    assert formats.milliseconds(0.168, 0.1992) == "168 ± 100"


def test_what_became_of_a_layer():
    assert formats.change("conv_3x3", "sep_conv_3x3") == "conv_3x3 → sep_conv_3x3"
    assert formats.change("conv_3x3", "conv_3x3") == "conv_3x3"
    assert formats.change("conv_3x3", "conv_3x3, 12 of 16 channels") == "conv_3x3, 12 of 16 channels"
    assert formats.change("linear", "linear_rank_8", arrow="⇒", longest=6) == "linear ⇒ linear"
