"""Options that do not apply, and numbers that cannot be, are refused before anything is written."""

from __future__ import annotations

import pytest

from tests.commands.cli import error

TABLE = ("train", "--space", "nasbench201", "--reward", "table:nasbench201")
SUPERNET = ("train", "--reward", "supernet")
RANK = ("rank", "--space", "nasbench201")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*TABLE, "--column", "cifar10_val12"), "--column does not go with this: the reward table"),
        ((*SUPERNET, "--column", "x"), "--column does not go with this"),
        ((*TABLE, "--data", "digits"), "--data does not go with this: the reward table"),
        ((*TABLE, "--channels", 8), "--channels does not go with this: the reward table"),
        ((*TABLE, "--warmup-steps", 10), "--warmup-steps does not go with this: they train the weights of a supernet"),
        ((*TABLE, "--schedule", "paper"), "takes no schedule: leave it out, got 'paper'"),
        ((*SUPERNET, "--surrogate", 100), "a surrogate needs a reward that stays as it is"),
        ((*SUPERNET, "--gpus-per-actor", 0.5), "--gpus-per-actor does not go with this: there are no actors"),
        ((*SUPERNET, "--timeout", 5), "--timeout does not go with this: there are no actors"),
        ((*SUPERNET, "--baseline", "ema"), "--baseline does not go with this: ppo learns its own"),
        (
            (*RANK, "--truth", "table:nasbench201", "--seeds", 2),
            "--seeds does not go with this: the reward table:nasbench201",
        ),
        ((*RANK, "--queries", 50), "--queries does not go with this: the proxy is supernet"),
        ((*RANK, "--proxy", "surrogate", "--steps", 50), "--steps does not go with this: the proxy is surrogate"),
        (
            ("transform", "torchvision:resnet18", "--data", "digits", "--policy", "x", "--iterations", 3),
            "--iterations does not go with this: --policy is a policy that was trained before",
        ),
    ],
)
def test_an_option_that_does_not_apply_is_refused(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in error(capsys, *arguments, "--out", "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*TABLE, "--learning-rate", "inf"), "learning_rate must be at most 10, got inf"),
        ((*TABLE, "--entropy", "nan"), "entropy must be at least 0, got nan"),
        ((*SUPERNET, "--actors", 1, "--gpus-per-actor", -1), "num_gpus must be at least 0, got -1"),
        ((*TABLE, "--seed", 2**64), "seed must be at most 4,294,967,295"),
        ((*TABLE, "--seed", -1), "seed must be at least 0"),
        ((*SUPERNET, "--cells", 100_000_000), "cells must be a whole number of at most 10,000, got 100000000"),
        ((*TABLE, "--iterations", 10**30), "iterations must be at most"),
        ((*SUPERNET, "--actors", 1, "--timeout", "nan"), "timeout must be above 0, got nan"),
        ((*RANK, "-n", 10**9), "number must be at most 1,000,000"),
        ((*RANK, "--gpus", "inf"), "gpus must be at most"),
        (("evaluate", "DARTS", "--gpus", "nan"), "--gpus must be at least 0, got nan"),
        (("evaluate", "DARTS", "--seeds", 10**9), "--seeds must be at most 10,000"),
    ],
)
def test_a_number_that_cannot_be_is_refused(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in error(capsys, *arguments, "--out", "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["--channels", "--cells", "--image-size", "--classes"])
@pytest.mark.parametrize("value", [0, -1, 10**30])
def test_sizes_of_a_network(capsys, size, value):
    assert "must be a whole number of at" in error(capsys, "show", "DARTS", size, value)


def test_a_comparison_of_too_many(capsys, tmp_path):
    assert "--compare must be at most 10,000" in error(capsys, "report", tmp_path, "--compare", 10**9)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--out", "used"),
        ("train", "--out", "used/file/run"),
        ("train", "--resume", "missing"),
        ("train", "--resume", "used", "--iterations", 3),
        ("sweep", "ppo", "-o", "used"),
    ],
)
def test_folders_that_cannot_be_are_refused_before_ray_starts(capsys, tmp_path, monkeypatch, arguments):
    for command in ("train", "sweep"):
        monkeypatch.setattr(f"natrl.commands.{command}.ray_session", lambda *_, **__: pytest.fail("Ray starts"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    assert error(capsys, *arguments)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("learning_rate: 0.1", (), "mine.yaml: settings: unknown learning_rate"),
        ("learn: {iterations: 0}", (), "mine.yaml: settings.learn: iterations must be at least 1, got 0"),
        (
            "learn: {iterations: 0}",
            ("--iterations", -3),
            "natrl: settings.learn: iterations must be at least 1",
        ),
        ("seed: 1", ("--iterations", -3), "natrl: settings.learn: iterations must be at least 1"),
    ],
)
def test_a_mistake_in_a_file_of_settings_names_the_file(capsys, tmp_path, monkeypatch, text, options, message):
    """Not the file where an option is wrong."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    assert message in error(capsys, "train", "--config", "mine.yaml", "--out", "r", *options)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("evaluator: {column: x}", (), "mine.yaml: evaluator.column does not go with this: the reward supernet"),
        ("evaluator: {steps: 5, surrogate_every: 2}", (), "evaluator.steps does not go with this"),
        ("evaluator: {timeout: 5}", (), "mine.yaml: evaluator.timeout does not go with this: there are no actors"),
        (f"evaluator: {{reward: '{TABLE[-1]}', space: nasbench201, data: cifar10}}", (), "evaluator.data does not go"),
        (
            "evaluator: {reward: scratch}\nlearn: {weight_steps: 5}",
            (),
            "learn.weight_steps does not go with this",
        ),
        ("learn: {baseline: ema}", ("--iterations", 2), "mine.yaml: learn.baseline does not go with this: ppo learns"),
        ("learn: {algorithm: reinforce, clip: 0.3}", (), "learn.clip does not go with this: the algorithm reinforce"),
    ],
)
def test_what_a_file_says_in_vain_is_refused(capsys, tmp_path, monkeypatch, text, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    assert message in error(capsys, "train", "--config", "mine.yaml", "--out", "r", *options)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
