"""natrl, natrl show, and mistakes in what is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import natrl
from natrl.commands.network_options import is_reference
from natrl.commands.options import invocation
from tests.commands.cli import error, output
from tests.core.genotypes.published import SOURCE


def test_natrl_alone_says_what_to_do_next(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where there is no run to go on with
    text = output(capsys)
    assert "natrl demo" in text
    for command in ("show", "train", "transform", "evaluate", "report"):
        assert command in text
    assert output(capsys, "--version").strip() == natrl.__version__


@pytest.mark.parametrize("command", ["demo", "show", "train", "transform", "evaluate", "report"])
def test_every_command_has_help_with_an_example(capsys, command):
    assert f"Example: natrl {command}" in output(capsys, command, "--help")


def test_show_as_json(capsys):
    document = json.loads(output(capsys, "show", "DARTS", "--json"))
    assert natrl.Architecture.from_dict(document["architecture"]) == natrl.parse("DARTS")
    assert document["params"] == 3_349_342
    assert document["madds"] == 528_353_280 + 5_760  # facts.md's convolutions, and the classifier
    assert document["live"] is True


def test_show_for_people(capsys, tmp_path):
    text = output(capsys, "show", "VGG", "--picture", tmp_path / "vgg.png")
    assert "3,797,974 parameters" in text
    assert "conv_3x3" in text
    assert (tmp_path / "vgg.png").read_bytes().startswith(b"\x89PNG")


def test_show_reads_files_and_other_spaces(capsys, tmp_path):
    (tmp_path / "a.json").write_text(natrl.parse("VGG").to_json())
    assert json.loads(output(capsys, "show", tmp_path / "a.json", "--json"))["params"] == 3_797_974
    text = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    assert json.loads(output(capsys, "show", text, "--json"))["params"] == 129_306


def test_an_architecture_of_a_genotypes_file_is_no_network(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("genotypes.py").write_text(SOURCE)
    assert json.loads(output(capsys, "show", "genotypes.py:DARTS_V2", "--json"))["params"] == 3_349_342
    assert not is_reference("genotypes.py:DARTS_V2")
    assert is_reference("genotypes:build")
    assert "choose one, such as genotypes.py:NASNet" in error(capsys, "show", "genotypes.py")


NETWORK = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 10))
"""


def test_what_could_become_of_a_users_network(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("shown_network.py").write_text(NETWORK)
    name = "shown_network:build"
    found = json.loads(
        output(capsys, "show", name, "--image-size", "8", "--picture", tmp_path / "network.svg", "--json")
    )
    convolution, linear = 4 * 9 + 4, 256 * 10 + 10
    assert (found["network"], found["inputs"], found["rule"]) == (name, [[1, 8, 8]], "nat++")
    assert (found["params"], found["madds"]) == (convolution + linear, 4 * 9 * 64 + 2560)
    assert found["share"]["params"] == 1
    assert found["smallest"]["madds"] == {
        "params": 1 + 1 + 64 + 10 + 10,
        "madds": 64 + 64 + 10,
        "operations": {"0": "conv_1x1", "3": "low_rank_8", "0.channels": "channels_1_4"},  # of rank 1
    }
    assert type(found["smallest"]["madds"]["params"]) is int
    assert b"<svg" in (tmp_path / "network.svg").read_bytes()
    text = output(capsys, "show", name, "--image-size", "8", "--rule", "nat")
    assert "0 of 2 slots have moves" in text
    assert "--image-size PX gives others" in error(capsys, "show", name)
    assert "how many classes" in error(capsys, "show", name, "--classes", "3")


def test_what_could_become_of_a_published_network_without_its_weights(capsys):
    """2 s: a network of 29 slots is imported."""
    text = " ".join(output(capsys, "show", "torchvision:squeezenet1_1", "--image-size", "64").split())
    assert "1.235 M" in text  # torchvision: 1,235,496 parameters
    assert "torchvision:squeezenet1_1 on 3×64×64, rule nat++" in text
    assert "features.[3,4,6,7,9-12].expand3x3 (8)" in text
    assert "29 of 29 slots have moves" in text
    assert "its type is AdaptiveAvgPool2d" in text


def test_commands_are_kept_as_a_shell_takes_them(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/natrl", "evaluate", "|none~0|", "--out", "a b"])
    assert invocation() == "natrl evaluate '|none~0|' --out 'a b'"


def test_dead_architectures_are_called_so(capsys):
    assert "dead" in output(capsys, "show", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shw"], "No such command 'shw'"),
        (["show"], "Missing argument"),
        (["show", "DRATS"], "'DRATS' is no known architecture, file or notation; known: DARTS"),
        (["show", "normal: conv_3x3:0>1 | concat 2"], "slot 0 (conv_3x3:0>1): node 1 is an input of the cell"),
        (["show", "normal: conf_3x3:0>2 | concat 2"], "unknown operation 'conf_3x3'"),
        (["show", "DARTS", "--channels", "0"], "channels must be a whole number of at least 1"),
        (["show", "torchvision:resnet18", "--image-size", "-3"], "image_size must be a whole number of at least 1"),
        (["show", "torchvision:resnet18", "--classes", "0"], "num_classes must be a whole number of at least 1"),
        (["show", "DARTS", "--picture", "a.bmp"], ".png, .svg"),
        (["transform", "DARTS", "--policy", "nowhere", "--picture", "a.bmp"], ".png, .svg"),
        (["show", "DARTS", "--chanels", "3"], "No such option"),
        (["show", "DARTS", "--rule", "nat"], "--rule does not go with this: it is about networks"),
        (["show", "torchvision:resnet18", "--cells", "3"], "--cells does not go with this: torchvision:resnet18 is a"),
        (["show", "torchvision:resnet18", "--rule", "nut"], "unknown rule 'nut'; known: nat, nat++"),
        (["show", "torchvision:resnet19"], "torchvision has no classification network 'resnet19'"),
        (["show", "nowhere:build"], "nowhere"),
        (["train"], "give either --out RUN (a new run) or --resume RUN"),
        (["train", "--out", "r", "--space", "drts"], "unknown space 'drts'; known: darts, darts301"),
        (["train", "--out", "r", "--reward", "oracle"], "unknown reward 'oracle'; known: supernet, scratch"),
        (["train", "--out", "r", "--metric", "f1"], "unknown metric 'f1'"),
        (["train", "--out", "r", "--iterations", "ten"], "--iterations"),
        (["transform", "DARTS", "--policy", "."], "is neither a policy nor a run"),
        (["evaluate", "DARTS", "--seeds", "0"], "--seeds must be at least 1"),
        (["demo", "--seeds", "1"], "seeds must be at least 2"),
        (["demo", "--actors", "0"], "actors must be at least 1"),
        (["report", "."], "is not a run"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in error(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []
