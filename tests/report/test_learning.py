"""How a page says how a policy learned."""

from __future__ import annotations

import pandas as pd

from natrl.report.learning import learning_section


def test_where_scores_are_predicted_it_says_how_well():
    rows = [{"training_iteration": i, "evaluations": 60.0, "model_r2": 0.92, "model_spearman": 0.944} for i in (1, 2)]
    said = learning_section(pd.DataFrame(rows))["progress"]
    assert said == (
        "2 iterations, 60 evaluations, other scores predicted by a model that ranks what it has not seen with a "
        "correlation of 0.94 (R² 0.92)"
    )
    assert "predicted" not in learning_section(pd.DataFrame(rows)[["training_iteration", "evaluations"]])["progress"]
