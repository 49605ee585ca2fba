"""report.html: one file that shows a run, opens offline, and needs no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from natrl import formats
from natrl.drawing.palette import PAPER
from natrl.files import write_atomically
from natrl.report.candidate_plot import candidates_figure
from natrl.report.candidates import CandidateScores, chance_frame
from natrl.report.frames import comparison_frame
from natrl.report.missing import left_out
from natrl.report.picture import DARK, Picture, picture
from natrl.report.plots import COLLAPSE, comparison_figure, correlation_figure, has_curves, learning_figure
from natrl.report.portraits import Portrait, portraits_of_candidates, portraits_of_results
from natrl.report.rank import rank_figure
from natrl.report.results import Results
from natrl.report.run import read_run, Run
from natrl.report.tables import COMPARISON_NOTE, summary_line

__all__ = ["write_report"]

PORTRAITS = 3  # of a run whose candidates were not trained: the first ones, not the best


def write_report(run_dir: str | Path, reasons: Mapping[str, str] | None = None) -> Path:
    """Writes report.html into a run directory and returns its path; what the run has not (yet) is left out, and said.

    `reasons`: by section ("candidates") why it is missing. ValueError in one line if the directory is no run or one of
    its files is malformed.
    """
    run = read_run(run_dir)
    environment = Environment(
        loader=PackageLoader("natrl", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(_content(run) | {"left_out": left_out(run, reasons or {})})
    return write_atomically(run.path / "report.html", page)


def _content(run: Run) -> dict[str, Any]:
    """What the template shows of a run."""
    results = run.results if run.results and run.results.rows else None
    return {
        "formats": formats,
        "dark_paper": DARK[PAPER],
        "name": run.path.resolve().name,
        "results": run.results,
        "summary": _summary(run),
        "portraits": _portraits(run),
        "comparison": _by_name(results) if results else [],
        "comparison_note": COMPARISON_NOTE,
        "scatter": picture(comparison_figure(results), "Accuracy against MAdds") if results else None,
        **_candidates(run),
        **_learning(run),
        "correlation": _correlation(run),
        **_repeat(run),
    }


def _summary(run: Run) -> str | None:
    if run.results and run.results.rows:
        return summary_line(run.results)
    return _chance_line(run.candidates) if run.candidates else None


def _portraits(run: Run) -> list[Portrait]:
    if run.results and run.results.rows:
        return portraits_of_results(run.results)
    return portraits_of_candidates(run.candidates, PORTRAITS) if run.candidates else []


def _candidates(run: Run) -> dict[str, Any]:
    scores = run.candidates
    if scores is None:
        return {"candidates": None, "chance": []}
    text = f"Validation scores of {len(scores.rows)} architectures against their MAdds"
    return {
        "candidates": {"how": scores.how, "iteration": scores.iteration, "budget": scores.evaluations},
        "candidates_picture": picture(candidates_figure(scores), text),
        "chance": _chance(scores),
    }


def _learning(run: Run) -> dict[str, Any]:
    progress = run.progress
    if progress is None:
        return {"progress": None, "curves": None, "alarms": []}
    curves = picture(learning_figure(progress), "Learning curves") if has_curves(progress) else None
    return {"progress": _progress_line(progress), "curves": curves, "alarms": _alarms(progress)}


def _repeat(run: Run) -> dict[str, Any]:
    results = run.results
    return {
        "command": run.command,
        "seconds": {part: formats.seconds(value) for part, value in results.seconds.items()} if results else {},
        "config": list(_flat(run.settings)),
        "schedule": list(_flat(results.schedule)) if results else [],
        "versions": run.versions,
    }


def _by_name(results: Results) -> list[list[Any]]:
    """The rows of the comparison, those of a name together."""
    frame = comparison_frame(results)
    return [list(frame[frame["name"] == name].itertuples()) for name in results.names]


def _chance(scores: CandidateScores) -> list[dict[str, str]]:
    """The rows of `chance_frame`, as they are written."""
    gain = formats.points if scores.metric == "accuracy" else formats.nats
    return [
        {
            "choice": "most probable / one at random" if row.choice == "first" else "best by its score",
            "method": row.method,
            "n": str(row.n),
            "ratio": formats.ratio(row.madds_ratio),
            "gain": gain(row.gain, row.error),
        }
        for row in chance_frame(scores).itertuples()
    ]


def _chance_line(scores: CandidateScores) -> str | None:
    """The comparison with chance in one sentence, where there is one."""
    rows = {row["method"]: row for row in _chance(scores) if row["choice"].startswith("best")}
    if not rows:
        return None
    policy, random, difference = rows["policy"], rows["random"], rows["policy − random"]
    return (
        f"Best of {scores.evaluations:.0f} candidates and the original, by {scores.how} (validation, "
        f"{policy['n']} architectures, mean ± standard error): the policy {policy['gain']} at {policy['ratio']} MAdds, "
        f"random transformations {random['gain']} at {random['ratio']}; policy − random {difference['gain']}."
    )


def _correlation(run: Run) -> Picture | None:
    """Of `natrl rank` where it was run, else of the results."""
    if run.rank is not None:
        table, correlations, proxy = run.rank
        text = f"Trained accuracy of {len(table)} architectures against the proxy and against MAdds"
        return picture(rank_figure(table, correlations, proxy), text)
    correlation = run.results.correlation if run.results else None
    if correlation is None or not correlation.pairs:
        return None
    text = f"Trained accuracy of {len(correlation.pairs)} architectures against the proxy and against MAdds"
    return picture(correlation_figure(correlation), text)


def _progress_line(progress: pd.DataFrame) -> str:
    """How long the run is: "120 iterations, 1,680 evaluations, 3 min 05 s"."""
    last = progress.iloc[-1]
    parts = [f"{last['training_iteration']:.0f} iterations"]
    if pd.notna(last.get("evaluations")):
        parts.append(f"{last['evaluations']:,.0f} evaluations")
    if pd.notna(last.get("time_total_s")):
        parts.append(formats.seconds(last["time_total_s"]))
    return ", ".join(parts)


def _alarms(progress: pd.DataFrame) -> list[str]:
    """A line for null and for skip where the policy has put it into more than half of the slots, at any iteration."""
    lines = []
    for column, operation in (("share_null", "null"), ("share_skip", "skip")):
        shares = progress.set_index("training_iteration").get(column, pd.Series(dtype=float)).dropna()
        if not shares.empty and shares.max() > COLLAPSE:
            lines.append(
                f"Collapse alarm: {operation} took {100 * shares.max():.0f} % of the slots at iteration "
                f"{shares.idxmax():.0f} (more than {100 * COLLAPSE:.0f} %; at the last iteration "
                f"{100 * shares.iloc[-1]:.0f} %)."
            )
    return lines


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value)."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
