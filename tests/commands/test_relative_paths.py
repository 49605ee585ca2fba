"""Commands as a reader types them: relative paths, in a folder with a space in its name.

Each trains in workers, whose current folder is another one; together half a minute.
"""

from __future__ import annotations

import json

import pytest

import natrl
from natrl.policies import load_policy
from tests.commands.cli import output

NETWORK = """
from torch import nn

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))

def build():
    return Own()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, whose name has a space."""
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def table(folder):
    """A table of every architecture of NAS-Bench-201, of made-up accuracies."""
    space = natrl.space("nasbench201")
    rows = [f'"{a.key}",{0.5 + 0.4 * i / 15625}' for i, a in enumerate(space.architectures())]
    (folder / "my table.csv").write_text("\n".join(["arch,accuracy", *rows]))
    return "table:my table.csv"


SMALL = ("--iterations", 1, "--batch-size", 16)


def test_train_on_a_table_and_transform(ray_session, folder, table, capsys):
    printed = output(capsys, "train", "--space", "nasbench201", "--reward", table, *SMALL, "--out", "my run")
    assert "natrl transform ARCH --policy 'my run'" in printed
    assert load_policy("my run").space.name == "nasbench201"
    settings = json.loads((folder / "my run" / "config.json").read_text())["settings"]
    assert settings["evaluator"]["reward"] == f"table:{folder / 'my table.csv'}"
    architecture = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    output(capsys, "transform", architecture, "--policy", "my run", "--evaluator", "run", "-o", "my result")
    assert (folder / "my result" / "architecture.json").is_file()


def test_sweep_on_a_table(ray_session, folder, table, capsys):
    (folder / "spaces").mkdir()
    (folder / "spaces" / "space.yaml").write_text(
        f"settings:\n  evaluator: {{space: nasbench201, reward: '{table.replace(':', ':../')}'}}\n"
        "  learn: {iterations: 1, batch_size: 16, minibatch_size: 16}\n"
        "parameters: {learn.entropy: {choice: [0.01, 0.1]}}\ntrials: 2\n"
    )
    printed = output(capsys, "sweep", "spaces/space.yaml", "-o", "my sweep")
    assert "natrl train --config 'my sweep/best.yaml'" in printed


def test_transform_a_network_of_the_users_own_class(ray_session, folder, capsys):
    (folder / "network_of_a_folder.py").write_text(NETWORK)
    arguments = ("--data", "digits", "--max-madds", "60%", "--iterations", 1, "--epochs", 1, "-n", 2)
    arguments += ("--expect-accuracy", 0)  # it is not trained
    printed = output(capsys, "transform", "network_of_a_folder:build", *arguments, "-o", "out")
    assert (folder / "out" / "model.safetensors").is_file()
    assert "out: model.safetensors, choice.json" in printed
