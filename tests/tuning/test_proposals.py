"""What the policy proposes under a limit on latency, with a clock that counts MAdds."""

from __future__ import annotations

import pytest
import torch

from natrl.evaluation.inherited import InheritedEvaluator
from natrl.modules.importing import from_module
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.limits import Limits
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.tuning.finalists import Finalist
from natrl.tuning.optimize import OptimizeSettings, proposals
from natrl.tuning.optimize.budgets import fewest_madds
from tests.modules.trained import digits, trained

EXAMPLE = torch.zeros(2, 1, 8, 8)
LIMITS = Limits(latency="50%")


@pytest.fixture
def space() -> ModuleSpace:
    return from_module(trained(), EXAMPLE)


def propose(space: ModuleSpace, monkeypatch: pytest.MonkeyPatch, most: int) -> tuple[list[Finalist], int]:
    """Where networks of more than `most` parameters are too slow."""

    def fast(
        space: ModuleSpace, limits: Limits, networks: list, example: torch.Tensor, settings: OptimizeSettings
    ) -> list[bool]:
        return [sum(p.numel() for p in network.parameters()) <= most for network in networks]

    monkeypatch.setattr(proposals, "fast_enough", fast)
    torch.manual_seed(0)
    policy = Policy(PolicyNetwork(PolicyConfig(primitives=space.primitives, keep=5.0)), space)
    evaluator = InheritedEvaluator(space, digits(), validation_images=50, reference_images=32, steps=0)
    settings = OptimizeSettings(candidates=2, finalists=2)
    proposer = proposals.PolicyProposer(policy, settings)
    return proposals.propose(proposer, evaluator, LIMITS, settings, EXAMPLE, None)


def test_where_no_candidate_is_fast_enough_the_one_of_the_fewest_madds_is(
    space: ModuleSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = fewest_madds(space, space.masks(space.architecture))
    smallest = sum(p.numel() for p in space.build(least).parameters())
    (found,), _ = propose(space, monkeypatch, smallest)
    assert found.architecture == least
    with pytest.raises(ValueError, match="no candidate keeps to latency 50%, not even that of the fewest MAdds"):
        propose(space, monkeypatch, smallest - 1)


def test_candidates_of_the_policy_come_first(space: ModuleSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    found, count = propose(space, monkeypatch, 10**9)
    assert len(found) == 2 < count
    assert found[0].architecture != fewest_madds(space, space.masks(space.architecture))
