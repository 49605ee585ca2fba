"""Architectures that compute the same function have the same key, and only those."""

from __future__ import annotations

import numpy as np
import pandas as pd

import natrl
from natrl.core.genotypes import nasbench201_architecture
from natrl.core.isomorphism import function_key, held_out


def test_by_hand():
    # 0>1 skip, 1>3 conv equals 0>3 conv; what only dead nodes feed does not count.
    direct = nasbench201_architecture("000300")
    assert function_key(nasbench201_architecture("100030")) == function_key(direct)
    assert function_key(nasbench201_architecture("000302")) == function_key(direct)  # 2>3 reads an empty node
    assert function_key(nasbench201_architecture("000200")) != function_key(direct)
    # The two inner nodes can change places: conv1 then conv3 through node 1 or node 2.
    assert function_key(nasbench201_architecture("200030")) == function_key(nasbench201_architecture("020003"))
    # A factorized reduction is no pass-through.
    text = "normal: skip_connect:0>2 {}:1>2 | concat 2 ; reduce: skip_connect:0>2 {}:1>2 | concat 2"
    assert function_key(natrl.parse(text.format("null", "null"))).count("skip_connect") == 1


def test_slot_order_does_not_count():
    darts = natrl.parse("DARTS")
    assert function_key(natrl.parse(darts.key)) == function_key(darts)


def test_long_chains_stay_short():
    slots = " ".join(f"skip_connect:{max(0, i - 2)}>{i} conv_3x3:{i - 1}>{i}" for i in range(1, 60))
    chain = natrl.parse(f"cell/1: {slots} | concat 59")
    assert len(function_key(chain)) < 200


def test_classes_of_the_benchmark(natrl_data):
    """Ours never split one of NAS-Bench-201's 6,466 classes (which keep empty sums apart)."""
    frame = pd.read_csv(natrl_data / "nasbench201.csv.gz", dtype={"ops": str})
    keys = [function_key(nasbench201_architecture(digits)) for digits in frame.ops]
    assert frame.assign(key=keys).groupby("iso_class").key.nunique().max() == 1
    assert len(set(keys)) == 4930
    # Same class, same side; and about a fifth of the classes are held out.
    sides = pd.Series([held_out(nasbench201_architecture(digits)) for digits in frame.ops])
    assert sides.groupby(keys).nunique().max() == 1
    assert 0.18 < np.mean(sides.groupby(keys).first()) < 0.22
