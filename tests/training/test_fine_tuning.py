"""Training a replaced network on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from natrl.training.fine_tuning import fine_tune
from natrl.training.fitting import measure
from natrl.training.schedule import FINE_TUNING
from tests.modules.trained import digits, narrow, trained

ONE = replace(FINE_TUNING, epochs=1)


def test_the_result_is_what_the_network_was_left_as_and_repeats() -> None:
    network = narrow()
    tuned = fine_tune(network, digits(), ONE, seed=0, teacher=trained(), device="cpu")
    assert tuned.validation == measure(network, digits().validation)
    again = fine_tune(narrow(), digits(), ONE, seed=0, teacher=trained(), device="cpu")
    assert all(np.array_equal(tuned.state[name], again.state[name]) for name in tuned.state)
    fresh = tuned.load_into(narrow())
    torch.testing.assert_close(dict(fresh.state_dict()), dict(network.state_dict()), rtol=0, atol=0)


def test_bfloat16_rounds_and_learns() -> None:
    states = {}
    for bf16 in (False, True, None):
        network = deepcopy(trained())
        tuned = fine_tune(network, digits(), ONE, seed=0, bf16=bf16, device="cpu")
        assert tuned.validation.accuracy > 0.8
        assert all(array.dtype == np.float32 for array in tuned.state.values() if array.dtype.kind == "f")
        states[bf16] = tuned.state["conv1.weight"]
    assert np.array_equal(states[None], states[False])  # a CPU's own choice
    assert not np.array_equal(states[True], states[False])


def test_a_loss_that_is_not_finite_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"fine-tuning: the loss is nan in epoch 1; lower the learning rate"):
        fine_tune(narrow(), digits(), replace(ONE, learning_rate=1e30, clip=0, warmup=0), seed=0, device="cpu")
