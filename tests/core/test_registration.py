"""Operations that a user registers."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import natrl
from natrl.core.operations import Convolution
from natrl.core.registration import receive_operations, registered_operations
from natrl.data import load_data
from natrl.drawing.palette import look_of
from natrl.evaluation.scratch import ScratchEvaluator
from natrl.evaluation.supernet import SupernetEvaluator
from natrl.networks.operations import build_operation
from natrl.spaces.cells import CellSpace

pytestmark = pytest.mark.usefixtures("forgotten_operations")


def wide(i: int, o: int, stride: int) -> tuple[tuple[Convolution, ...], ...]:
    return ((Convolution(i, 2 * i, (1, 1), (stride, stride)),), (Convolution(2 * i, o, (1, 1)),))


def test_one_call_gives_rule_cost_module_and_colour() -> None:
    natrl.register_operation("wide", type="wide", stages=wide, may_become=("conv_1x1",), color="#123456")
    assert natrl.successors("wide") == ("wide", "conv_1x1", "skip_connect", "null")
    assert natrl.operation_cost("wide", channels=4, height=2, width=2) == natrl.Cost(64, 256)  # 4·8 + 8·4, 4 pixels
    assert sum(p.numel() for p in build_operation("wide", 4).parameters()) == 64 + 2 * 8 + 2 * 4
    assert look_of("wide").color == "#123456"


def test_on_the_ladders_it_has_its_place() -> None:
    natrl.register_operation("conv_11x11", type="sep_conv", kernel=1, stages=wide)
    assert "conv_11x11" in natrl.successors("conv_3x3", primitives=("conv_11x11", "conv_3x3"))


def test_a_builder_is_wanted_where_a_network_is() -> None:
    natrl.register_operation("free", type="free", cost=lambda *_: natrl.Cost(1, 2), may_become=())
    with pytest.raises(ValueError, match="operation 'free' has no builder"):
        build_operation("free", 4)
    space = CellSpace("of free", nodes=2, primitives=("free", "conv_3x3", "skip_connect", "null"))
    for build in (ScratchEvaluator, SupernetEvaluator):
        with pytest.raises(ValueError, match="operation 'free' has no builder"):
            build(space, load_data("digits"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "conv_3x3", "type": "x", "stages": wide, "may_become": ()}, "is registered already"),
        ({"name": "mine", "type": "x", "stages": wide}, "type 'x' is on no ladder"),
        ({"name": "mine", "type": "conv"}, "needs stages or a cost function"),
        ({"name": "mine", "type": "conv", "kernel": 9, "stages": wide, "cost": print}, "and not both"),
        ({"name": "mine", "type": "conv", "kernel": 3, "stages": wide}, "with kernel 3 is conv_3x3 already"),
        ({"name": "a b", "type": "conv", "stages": wide}, "is a word"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        natrl.register_operation(options.pop("name"), **options)


def test_another_process_knows_it_by_its_record() -> None:
    natrl.register_operation("wide", type="wide", stages=wide, may_become=())
    records = pickle.loads(pickle.dumps(registered_operations()))
    receive_operations(records)  # known already
    assert [record.name for record in registered_operations()].count("wide") == 1
