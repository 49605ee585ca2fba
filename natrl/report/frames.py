"""The figures of tables and reports as pandas frames: comparisons of results."""

from __future__ import annotations

import numpy as np
import pandas as pd

from natrl.report.results import Results

__all__ = ["comparison_frame", "pareto_front", "summary_frame"]


def comparison_frame(results: Results) -> pd.DataFrame:
    """One row a row of the results, by name and variant.

    Columns: name, variant, params, madds, live_params, live_madds; accuracy and spread, mean and standard deviation
    over seeds of `results.metric`; and against the original of the same name params_ratio, madds_ratio, difference
    (of accuracies) and noise, the standard error of that difference from the seeds of both, √(s²/S + s₀²/S). NaN where
    there is no original, or one seed.
    """
    columns = ["name", "variant", "params", "madds", "live_params", "live_madds"]
    frame = pd.DataFrame(
        [{column: getattr(row, column) for column in columns} for row in results.rows], columns=columns
    )
    accuracies = pd.DataFrame([getattr(row, results.metric) for row in results.rows], index=frame.index)
    frame["accuracy"] = accuracies.mean(axis=1)
    frame["spread"] = accuracies.std(axis=1, ddof=1)
    originals = frame[frame["variant"] == "original"].set_index("name").reindex(frame["name"]).reset_index()
    changed = frame["variant"] != "original"
    for column in ("params", "madds"):
        frame[f"{column}_ratio"] = (frame[column] / originals[column]).where(changed)
    frame["difference"] = (frame["accuracy"] - originals["accuracy"]).where(changed)
    variance = (frame["spread"] ** 2 + originals["spread"] ** 2) / len(results.seeds)
    frame["noise"] = (variance**0.5).where(changed)
    return frame


def summary_frame(results: Results) -> pd.DataFrame:
    """Means over architectures, one row a variant ("transformed", "random") that has any.

    Columns: n architectures with an original, params_ratio, madds_ratio, difference of accuracies, and error, the
    standard error of the mean difference over architectures (NaN where n = 1). Where both variants exist, the row
    "gain" holds the difference transformed − random of the same architectures, which is what the policy adds.
    """
    frame = comparison_frame(results).dropna(subset="difference")
    wide = frame.pivot_table(index="name", columns="variant", values="difference", sort=False)
    grouped = frame.groupby("variant")
    summary = grouped[["params_ratio", "madds_ratio", "difference"]].mean()
    summary.insert(0, "n", grouped.size())
    summary["error"] = grouped["difference"].sem()
    summary = summary.reindex([variant for variant in ("transformed", "random") if variant in summary.index])
    if len(summary) == 2:
        gain = (wide["transformed"] - wide["random"]).dropna()
        if len(gain):
            summary.loc["gain"] = [len(gain), np.nan, np.nan, gain.mean(), gain.sem()]
    return summary.astype({"n": int})


def pareto_front(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a comparison that no other one beats in both, by rising madds: fewer MAdds and higher accuracy."""
    ordered = frame.sort_values(["madds", "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=-np.inf)]
