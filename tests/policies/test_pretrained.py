"""Policies that come with natrl: each is there, keeps its promises, and is worth what its card says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import natrl
from natrl.bench.nasbench301 import PredictedTruth
from natrl.bench.splits import split
from natrl.bench.trained import published_tables
from natrl.evaluation.nasbench301 import SurrogateFile
from natrl.policies.pretrained import card, pretrained_names
from natrl.spaces import Batch
from tests.commands.cli import error, output

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"


def test_there_is_one_for_each_data_set_and_for_cells_of_darts() -> None:
    of_trainings = tuple(f"nasbench201-{name}" for name in ("cifar10", "cifar100", "imagenet16"))
    assert pretrained_names() == ("darts301", *of_trainings)


def test_what_was_learned_from_predictions_gains_what_its_card_says(natrl_data: Path) -> None:
    """On a few of the held out architectures, and within budgets; the card says that nothing was trained."""
    pytest.importorskip("onnx")
    policy, known = natrl.load_policy("pretrained:darts301"), card("darts301")
    assert "no network was trained" in known["learned from"]
    file = SurrogateFile(natrl_data / "nasbench301_yahpo.onnx")
    chosen = PredictedTruth(file).initial(0).held_out
    batch = Batch.of(policy.space, chosen)
    after = Batch.of(policy.space, [policy.transform(a, n=1, max_madds="80%").best for a in chosen])
    assert (after.costs[:, 1] <= 0.8 * batch.costs[:, 1]).all()
    gain = 100 * float(np.mean(file.accuracies(after) - file.accuracies(batch)))
    assert gain == pytest.approx(known["figures"]["80%"]["first_answer"], abs=0.1)


def test_pretrained_alone_is_one_whose_space_has_the_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    printed = output(capsys, "transform", "DARTS", "--policy", "pretrained", "--max-madds", "80%")
    assert "pretrained:darts301 was learned from predictions" in printed
    said = error(capsys, "transform", "ENAS", "--policy", "pretrained")
    assert all(f"pretrained:{name}" in said for name in pretrained_names())
    assert "space 'darts301' has 16 slots, this architecture has 20" in said


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet16"])
def test_it_keeps_to_budgets_and_gains_what_its_card_says(name: str) -> None:
    """On a few of the architectures that the card's figures are of, by the published trainings."""
    policy, known = natrl.load_policy(f"pretrained:nasbench201-{name}"), card(f"nasbench201-{name}")
    (table,) = published_tables((name,))
    live = [a for a in split(policy.space, 0).held_out if a.is_live]
    chosen = [live[i] for i in np.random.default_rng(0).permutation(len(live))[:150]]
    after = [policy.transform(a, n=1, max_madds="100%").best for a in chosen]
    for before, a in zip(chosen, after, strict=True):
        assert policy.space.cost(a) <= policy.space.cost(before)
    report = table.reporter()
    gain = 100 * float(np.mean(report.accuracies(after) - report.accuracies(chosen)))
    assert gain == pytest.approx(known["figures"]["100%"]["first_answer"], abs=0.1)  # other processors round otherwise
    tight = policy.transform(chosen[0], n=1, max_madds="60%").best
    assert policy.space.cost(tight).madds <= 0.6 * policy.space.cost(chosen[0]).madds


def test_the_command_and_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "MAdds" in output(capsys, "transform", CELL, "--policy", "pretrained", "--max-madds", "60%")
    assert "nasbench201-cifar100" in error(capsys, "transform", CELL, "--policy", "pretrained:darts")
    with pytest.raises(ValueError, match="'pretrained:mine'; natrl comes with darts301, nasbench201-cifar10"):
        natrl.load_policy("pretrained:mine")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(Path(natrl.__file__).parent / "policies" / "pretrained" / "nasbench201-cifar100", "pretrained")
    own, theirs = (natrl.load_policy(name) for name in ("pretrained", "pretrained:nasbench201-cifar100"))
    for a, b in zip(own.network.parameters(), theirs.network.parameters(), strict=True):
        assert a.equal(b)
