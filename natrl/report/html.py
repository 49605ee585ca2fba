"""report.html: one file that shows a run, opens offline, and needs no script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from natrl import formats
from natrl.report.candidate_plot import candidates_figure
from natrl.report.frames import comparison_frame
from natrl.report.learning import learning_section
from natrl.report.missing import left_out
from natrl.report.page import flat, write_page
from natrl.report.picture import Picture, picture
from natrl.report.plots import comparison_figure, correlation_figure
from natrl.report.portraits import Portrait, portraits_of_candidates, portraits_of_results
from natrl.report.rank import rank_figure
from natrl.report.results import Results
from natrl.report.run import read_run, Run
from natrl.report.scores import CandidateScores, chance_frame
from natrl.report.tables import COMPARISON_NOTE, summary_line

__all__ = ["write_report"]

PORTRAITS = 3  # of a run whose candidates were not trained: the first ones, not the best


def write_report(run_dir: str | Path, reasons: Mapping[str, str] | None = None) -> Path:
    """Writes report.html into a run directory and returns its path; what the run has not (yet) is left out, and said.

    `reasons`: by section ("candidates") why it is missing. ValueError in one line if the directory is no run or one of
    its files is malformed.
    """
    run = read_run(run_dir)
    content = _content(run) | {"left_out": left_out(run, reasons or {})}
    return write_page(run.path / "report.html", "report.html", content)


def _content(run: Run) -> dict[str, Any]:
    """What the template shows of a run."""
    results = run.results if run.results and run.results.rows else None
    return {
        "name": run.path.name,
        "results": run.results,
        "summary": _summary(run),
        "portraits": _portraits(run),
        "comparison": _by_name(results) if results else [],
        "comparison_note": COMPARISON_NOTE,
        "scatter": picture(comparison_figure(results), "Accuracy against MAdds") if results else None,
        **_candidates(run),
        **learning_section(run.progress),
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


def _repeat(run: Run) -> dict[str, Any]:
    results = run.results
    return {
        "command": run.command,
        "seconds": {part: formats.seconds(value) for part, value in results.seconds.items()} if results else {},
        "config": list(flat(run.settings)),
        "schedule": list(flat(results.schedule)) if results else [],
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
