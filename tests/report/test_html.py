"""report.html: what it shows, what it leaves out, and that it neither loads nor runs anything."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from natrl.core.operations import VOCABULARY
from natrl.drawing.palette import look_of, VARIANT_LOOKS
from natrl.evaluation.ledger.file import Ledger, Paid, settings_text
from natrl.report.html import write_report
from natrl.report.picture import DARK
from natrl.report.results import Results, write_results
from natrl.report.run import read_run
from natrl.report.scores import CandidateScores, write_candidates
from natrl.spaces import network_cost
from tests.report.chromium import CHROMIUM, show
from tests.report.examples import changed, NASBENCH, progress, SKELETON, small_candidates, small_results, tiny_results

EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Tags, links, texts and pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.sections: list[str] = []
        self.alts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self.loads += [values[key] for key in ("src", "href", "srcset", "action", "data", "poster") if key in values]
        if tag == "section":
            self.sections.append(values["id"])
        if tag == "img":
            self.alts.append(values["alt"])

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def fill(run: Path, results: Results) -> Path:
    write_results(results, run / "results.json")
    progress().to_csv(run / "progress.csv", index=False)
    settings = {"space": "darts", "learn": {"algorithm": "ppo", "lr": 0.001}}
    config = {"settings": settings, "versions": {"python": "3.11.2"}, "command": "natrl train --seed 7"}
    (run / "config.json").write_text(json.dumps(config))
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run that has everything; made once, as its ten pictures take a second."""
    run = fill(tmp_path_factory.mktemp("runs", numbered=False), small_results())
    write_candidates(small_candidates(), run / "candidates.json")
    return write_report(run)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with everything but a correlation, quick to draw."""
    return fill(tmp_path, tiny_results())


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_a_whole_run(whole):
    assert sorted(file.name for file in whole.parent.iterdir()) == [
        "candidates.json",
        "config.json",
        "progress.csv",
        "report.html",
        "results.json",
    ]
    page = Page(whole.read_text(encoding="utf-8"))
    assert page.sections == ["comparison", "candidates", "architectures", "learning", "proxy", "repeat"]
    assert page.alts == [
        "Accuracy against MAdds",
        "Validation scores of 10 architectures against their MAdds",
        "VGG before and after, changed slots numbered",
        "DARTS before and after, changed slots numbered",
        "Learning curves",
        "Trained accuracy of 3 architectures against the proxy and against MAdds",
    ]
    for words in (
        "runs natrl report · data digits",
        "transformed 0.93 × MAdds, +2.00 ± 1.00 points",
        "85.00 ± 0.00 +3.00 ± 2.00",
        "1 normal 2→3 conv_3x3 → sep_conv_3x3 −6.2 %",
        "Transformed: 2 of 16 slots changed",
        "Random: 1 of 16 slots changed",
        "40 iterations, 640 evaluations, 1 min 00 s",
        "natrl demo --seed 0",
        "learn.lr 0.001",
        "git abc1234",
        "python 3.11.2",
        "supernet 1 min 01 s",
        "epochs 30",
    ):
        assert words in page.text
    assert "Collapse alarm" not in page.text
    assert "natrl train" not in page.text  # the results' own command


def test_nothing_is_loaded_and_nothing_runs(whole):
    text = whole.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    for word in ("http://", "https://", "url(", "@import"):
        assert word not in text
    assert page.loads
    assert all(load.startswith(("data:", "#")) for load in page.loads)


def test_both_colour_schemes_and_print_are_styled(whole):
    text = whole.read_text(encoding="utf-8")
    assert "@media (prefers-color-scheme: dark)" in text
    assert "@media print" in text


def test_names_are_escaped(tmp_path):
    run = tmp_path / "<b>run & co"
    run.mkdir()
    rows = tuple(replace(row, name=EVIL) for row in tiny_results().rows)
    results = replace(tiny_results(), rows=rows, data=EVIL, command=f"natrl demo --data '{EVIL}'")
    write_results(replace(results, versions={EVIL: EVIL}, schedule={EVIL: EVIL}), run / "results.json")
    scores = small_candidates()
    write_candidates(replace(scores, how=EVIL, rows=scores.rows.assign(name=EVIL)), run / "candidates.json")
    (run / "config.json").write_text(json.dumps({EVIL: {EVIL: EVIL}}))
    text = write_report(run).read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text
    assert "<b>" not in text
    assert "script" not in page.tags
    assert page.text.count(EVIL) >= 10


def test_changed_slots_are_marked_in_the_pictures(whole):
    page = Page(whole.read_text(encoding="utf-8"))
    pictures = [base64.b64decode(load.partition("base64,")[2]).decode() for load in page.loads if "base64" in load]
    vgg, darts = (picture for picture in pictures if "slot-normal-0" in picture)
    assert ('id="changed-1"' in vgg, 'id="changed-2"' in vgg) == (True, False)
    assert ('id="changed-1"' in darts, 'id="changed-2"' in darts, 'id="changed-3"' in darts) == (True, True, False)


@pytest.mark.parametrize(
    ("missing", "sections"),
    [
        (["results.json"], ["learning", "repeat", "left-out"]),
        (["progress.csv"], ["comparison", "architectures", "repeat", "left-out"]),
        (["config.json"], ["comparison", "architectures", "learning", "repeat"]),
        (["results.json", "progress.csv"], ["repeat", "left-out"]),
    ],
)
def test_a_section_appears_only_where_its_data_is(run, missing, sections):
    for name in missing:
        (run / name).unlink()
    assert page_of(run).sections == sections


def test_an_evaluation_without_transforms_shows_the_architectures_alone(run):
    write_results(replace(tiny_results(), rows=tiny_results().rows[:1]), run / "results.json")
    page = page_of(run)
    assert page.alts[1] == "Architecture tiny"
    assert "1 architectures trained on digits, 1 seed each." in page.text


def test_what_was_not_changed_is_said_to_be_kept(run):
    page = page_of(run)
    assert "Transformed: 1 of 6 slots changed" in page.text
    assert "Random: kept as it is." in page.text


def test_collapse_raises_the_alarm(run):
    progress(null=0.8).to_csv(run / "progress.csv", index=False)
    page = page_of(run)
    assert "Collapse alarm: null took 80 % of the slots at iteration 40 (more than 50 %" in page.text
    assert page.text.count("Collapse alarm") == 1
    progress().assign(share_skip=0.7).to_csv(run / "progress.csv", index=False)
    assert "Collapse alarm: skip took 70 % of the slots at iteration 1 (more than 50 %" in page_of(run).text


def test_a_run_without_iterations_or_known_columns(run):
    (run / "progress.csv").write_text("")
    assert "learning" not in page_of(run).sections
    (run / "progress.csv").write_text("training_iteration,other\n1,2\n")
    page = page_of(run)
    assert "1 iterations." in page.text
    assert "Learning curves" not in page.alts


def test_progress_is_found_where_tune_writes_it(run):
    (run / "tune" / "trial").mkdir(parents=True)
    rows = progress().to_dict("records")
    lines = [json.dumps({key: value for key, value in row.items() if value == value}) for row in rows]
    (run / "tune" / "trial" / "result.json").write_text("\n".join([*lines, '{"torn']))
    (run / "progress.csv").unlink()
    (run / "results.json").unlink()
    page = page_of(run)
    assert page.sections == ["learning", "repeat", "left-out"]
    assert "natrl train --seed 7" in page.text


def test_of_a_repeated_iteration_the_last_row_counts(run):
    (run / "progress.csv").write_text("training_iteration,reward_mean\n1,0.1\n2,0.2\n2,0.3\n")
    frame = read_run(run).progress
    assert frame is not None
    assert list(frame["reward_mean"]) == [0.1, 0.3]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run: it holds none of config\.json, progress\.csv"):
        write_report(tmp_path)
    with pytest.raises(ValueError, match="is not a run: there is no such directory"):
        write_report(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a run: it is a file"):
        write_report(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "{", "config.json: not JSON"),
        ("config.json", "[]", r"config.json: expected names and their values, got \[\]"),
        ("results.json", "{}", "results.json: not results"),
        ("progress.csv", "a,b\n1,2\n", "progress.csv: has no column training_iteration; it has: a, b"),
        ("progress.csv", 'a,b\n1,2,3,4\n"', "progress.csv: not CSV"),
    ],
)
def test_a_malformed_file_is_named_in_one_line_and_the_old_report_stays(run, name, text, message):
    (run / "report.html").write_text("old")
    (run / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        write_report(run)
    assert "\n" not in str(error.value)
    assert (run / "report.html").read_text() == "old"


def train_run(path: Path, reward: str = "supernet") -> Path:
    """What `natrl train` leaves, as far as the report reads it."""
    path.mkdir()
    progress().to_csv(path / "progress.csv", index=False)
    (path / "config.json").write_text(json.dumps({"settings": {"evaluator": {"reward": reward}}, "command": "c"}))
    return path


def test_a_run_that_trained_no_networks_shows_candidates_and_chance(tmp_path):
    run = train_run(tmp_path / "run")
    write_candidates(small_candidates(), run / "candidates.json")
    page = page_of(run)
    assert page.sections == ["candidates", "architectures", "learning", "repeat", "left-out"]
    assert page.alts[1:3] == ["a before and after, changed slots numbered", "Architecture b"]
    for words in (
        "by table t (validation, 2 architectures, mean ± standard error): the policy +5.00 ± 5.00 at",
        "random transformations +4.00 ± 2.00 at",
        "policy − random +1.00 ± 3.00.",
        "best by its score policy 2",
        "The first 2 originals, and for each the candidate of the policy with the best score",
        "How well the proxy ranks: natrl rank --proxy RUN --out RUN/rank measures it.",
    ):
        assert words in page.text


def test_what_is_left_out_is_said_with_the_reason(tmp_path):
    run = train_run(tmp_path / "run", reward="table:x")
    page = Page(write_report(run, {"candidates": "the table has no such architecture"}).read_text())
    assert page.sections == ["learning", "repeat", "left-out"]
    for words in (
        "Trained networks before and after: a training of a policy trains none; natrl evaluate does.",
        "Candidates, and random ones at the same budget: the table has no such architecture.",
        "How well the proxy ranks: rewards are trained accuracies themselves.",
    ):
        assert words in page.text


def test_trainings_that_a_run_paid_for_are_its_candidates(tmp_path):
    run = train_run(tmp_path / "run", reward="scratch")
    others = [changed(NASBENCH, {0: "conv_1x1"}), changed(NASBENCH, {0: "null"})]
    ledger = Ledger(run / "evaluations.db")
    settings = settings_text({"kind": "scratch", "metric": "accuracy", "skeleton": asdict(SKELETON)})
    ledger.put(settings, [Paid(a.key, score, 1.0) for a, score in zip(others, (0.5, 0.25), strict=True)])
    ledger.close()
    scores = read_run(run).candidates
    assert isinstance(scores, CandidateScores)
    expected = {a.key: (network_cost(a, SKELETON).madds, s) for a, s in zip(others, (0.5, 0.25), strict=True)}
    found = scores.rows.set_index("architecture")[["madds", "score"]]
    assert {key: tuple(row) for key, row in found.iterrows()} == expected
    page = Page(write_report(run, {"candidates": "each would be trained"}).read_text())
    assert page.sections == ["candidates", "learning", "repeat", "left-out"]
    assert "Validation scores (training from scratch) against MAdds" in page.text
    assert "The policy's candidates and random ones at the same budget: each would be trained." in page.text


def test_what_natrl_rank_wrote_is_shown(tmp_path):
    run = train_run(tmp_path / "run")
    (run / "rank").mkdir()
    values = np.linspace(0.1, 0.9, 6)
    pd.DataFrame({"proxy": values, "trained": values, "madds": 1e6}).to_csv(run / "rank" / "rank.csv", index=False)
    kinds = {"kendall": 0.5, "kendall_low": 0.1, "kendall_high": 0.9, "spearman": 0.6}
    document = {"proxy": "runs/$a_b$", "correlations": {"proxy": kinds, "madds": kinds}}
    (run / "rank" / "rank.json").write_text(json.dumps(document))
    assert page_of(run).alts[-1] == "Trained accuracy of 6 architectures against the proxy and against MAdds"
    (run / "rank" / "rank.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"rank: not what natrl rank writes: .*proxy"):
        write_report(run)


def test_every_colour_of_the_pictures_has_one_for_dark_screens(whole):
    page = Page(whole.read_text(encoding="utf-8"))
    pictures = [base64.b64decode(load.partition("base64,")[2]).decode() for load in page.loads if "base64" in load]
    colours = {colour for picture in pictures for colour in re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", picture)}
    known = {look_of(name).color.lower() for name in VOCABULARY}
    known |= {look.color.lower() for look, _ in VARIANT_LOOKS.values()}
    assert colours - set(DARK) <= known
    assert colours & set(DARK) >= {"#ffffff", "#1b1b1b"}
    assert all("@media (prefers-color-scheme:dark)" in picture for picture in pictures)


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@needs_chromium
def test_chromium_shows_it_light_and_dark_in_silence_and_without_a_request(whole, tmp_path):
    """A browser starts twice: 2–4 s."""
    folders = [tmp_path / "light", tmp_path / "dark"]
    for folder in folders:
        folder.mkdir()
    light, dark = (show(whole, folder, dark=folder.name == "dark") for folder in folders)
    for shown in (light, dark):
        assert shown.console == []
        assert shown.requests == []
        assert shown.pixels.std() > 10  # something is drawn
    assert light.pixels.mean() > 220
    assert dark.pixels.mean() < 60
    assert (dark.pixels.min(axis=2) > 240).mean() < 0.02  # no picture is left on white


@needs_chromium
def test_chromium_would_notice_an_error_and_a_request(tmp_path):
    (tmp_path / "page.html").write_text('<img src="http://example.com/a.png"><script>nonsense()</script>')
    shown = show(tmp_path / "page.html", tmp_path)
    assert any("nonsense is not defined" in line for line in shown.console)
    assert shown.requests == ["http://example.com/a.png"]
