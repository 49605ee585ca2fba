"""Limits on time by tables, and what is said of them in the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn, Tensor

from natrl.core.operations import Cost
from natrl.modules.importing import from_module
from natrl.policies.limits import Limits
from natrl.timing.latency import Latency
from natrl.tuning.optimize import OptimizeSettings
from natrl.tuning.optimize.result import Figures
from natrl.tuning.optimize.timed import time_limits
from natrl.tuning.optimize.verdicts import verdicts
from tests.modules.trained import trained

RUNTIME = f"{__name__}:convolutions"


def convolutions(network: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    """Every convolution takes a second, whatever it is: as on a device where calls are what counts."""
    return 1e-6 + sum(isinstance(module, nn.Conv2d) for module in network.modules())


def test_a_table_is_measured_once_and_slower_replacements_are_forbidden(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    space = from_module(trained(), torch.zeros(2, 1, 8, 8))
    settings = OptimizeSettings(method="additive", runtime=RUNTIME, times=str(tmp_path / "times.json"))
    mask = space.masks(space.architecture)
    found = time_limits(space, Limits(latency="50%"), settings, mask, tmp_path)
    assert found is not None
    assert "by its layers: Spearman" in capsys.readouterr().err
    single = [space.with_operations({space.slots[0].name: op}) for op in ("sep_conv_3x3", "conv_3x3")]
    assert found.forbidden(single).tolist() == [True, False]  # two convolutions in place of one
    assert time_limits(space, Limits(madds="50%"), settings, mask, tmp_path) is None
    (tmp_path / "times.json").chmod(0o444)
    again = time_limits(space, Limits(latency="50%"), settings, mask, tmp_path)
    assert again is not None
    assert again.of(single).tolist() == found.of(single).tolist()
    with pytest.raises(ValueError, match="times of another runtime"):
        time_limits(space, Limits(latency="50%"), replace(settings, runtime="eager"), mask, tmp_path)


@pytest.mark.parametrize(
    ("share", "madds", "said"),
    [
        (
            (0.40, 0.38, 0.42),
            70,
            ["latency: kept, 20.0% below the limit: 40.0% (38.0% to 42.0%) of"],
        ),
        ((0.49, 0.45, 0.52), 70, ["latency: kept, within what the measurement can tell"]),
        ((0.51, 0.48, 0.52), 70, ["latency: exceeded, within what the measurement can tell"]),
        ((0.60, 0.58, 0.62), 70, ["latency: not kept when it was measured again, 20.0% above the limit"]),
        ((1.5, 1.4, 1.6), 70, ["latency: not kept", "fewer MAdds, and slower than the original: 150.0% (140.0% to"]),
        ((1.5, 1.4, 1.6), 100, ["latency: not kept"]),
    ],
)
def test_the_verdict(share: tuple[float, float, float], madds: int, said: list[str]) -> None:
    old = Latency(1, 2.0, 0.1, 12, "cpu")
    new = Latency(1, 2.0 * share[0], 0.1, 12, "cpu", "eager", *share)
    batch = Latency(32, 2.0, 0.1, 12, "cpu")
    before = Figures(Cost(1, 100), 0.9, 0.9, (old, batch))
    after = Figures(Cost(1, madds), 0.9, 0.9, (new, batch))
    found = verdicts(before, after, Limits(latency="50%"))
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True))
