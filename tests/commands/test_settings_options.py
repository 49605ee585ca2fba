"""Options that come from fields: one place for names, types, help texts and defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import pytest
import typer
from annotated_doc import Doc

from natrl.checks.fields import Count, field_hints, group_of, Portion
from natrl.cli import app
from natrl.commands.settings_options import flag, leaves, Options, with_options
from natrl.runs.settings import RunSettings
from natrl.tuning.optimize import OptimizeSettings
from tests.commands.cli import run


@dataclass(frozen=True)
class Inner:
    batch_size: Annotated[Count, Doc("Images of a step.")] = 8
    rate: Annotated[Portion | None, Doc("How fast.")] = None


@dataclass(frozen=True)
class Outer:
    inner: Annotated[Inner, Doc("A group.")] = field(default_factory=lambda: Inner(batch_size=16))
    name: Annotated[Any, Doc("What it is called.")] = "x"
    parts: Annotated[tuple[str, ...], Doc("Of what.")] = ("a", "b")
    whole: Annotated[bool, Doc("All of it.")] = False


@dataclass(frozen=True)
class Flags:
    where: Annotated[str | None, typer.Option(help="Where.")] = None
    again: Annotated[bool, typer.Option("--again", help="Again.")] = False


@pytest.fixture
def command():
    """Returns what the command was called with, and Typer's options by name."""
    called = []

    def save(
        *,
        flags: Flags,
        given: Annotated[dict[str, Any], Options(Outer, "inner.batch_size inner.rate name? parts whole")],
        seed: int = 0,
    ) -> None:
        called.append((flags, given, seed))

    made = typer.Typer()
    made.command()(with_options(save))
    click = typer.main.get_command(made)

    def call(*arguments: str) -> tuple[Flags, dict[str, Any], int]:
        click.main(args=arguments, standalone_mode=False)
        return called.pop()

    return call, {option.name: option for option in click.params}


def test_only_what_is_given_is_there(command):
    call, _ = command
    assert call() == (Flags(), {}, 0)
    assert call("--rate", "0.5", "--again") == (Flags(again=True), {"inner": {"rate": 0.5}}, 0)
    given = {"inner": {"batch_size": 4}, "name": "y"}
    assert call("--batch-size", "4", "--name", "y", "--where", "there", "--seed", "2") == (Flags("there"), given, 2)
    assert dict(leaves(given)) == {"inner.batch_size": given["inner"]["batch_size"], "name": given["name"]}
    assert call("--parts", "c, d", "--whole")[1] == {"parts": ("c", "d"), "whole": True}
    with pytest.raises(ValueError, match="expected names with commas between them, got ','"):
        call("--parts", ",")


def test_types_texts_and_defaults_are_the_fields(command):
    _, options = command
    shown = {name: (option.help, option.metavar, option.show_default) for name, option in options.items()}
    assert shown["batch_size"] == ("Images of a step.", "N", "16")
    assert shown["rate"] == ("How fast.", "X", True)
    assert shown["name"] == ("What it is called.", "NAME", True)
    assert shown["parts"] == ("Of what.", "NAMES", "a,b")
    assert shown["whole"][:2] == ("All of it.", None)
    assert list(options)[:8] == ["where", "again", "batch_size", "rate", "name", "parts", "whole", "seed"]


@pytest.mark.parametrize("settings", [RunSettings, OptimizeSettings])
def test_every_field_says_what_it_is(settings):
    """In one sentence, for help texts and the reference."""
    for f in fields(settings):
        texts = [extra.documentation for extra in field_hints(settings)[f.name].__metadata__ if isinstance(extra, Doc)]
        assert [text.endswith(".") and len(text) < 100 for text in texts] == [True], f.name
        if group := group_of(settings, f.name):
            test_every_field_says_what_it_is(group)


def test_commands_offer_what_fields_have():
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for command, names in (
        ("train", ["learn.iterations", "seed"]),
        ("optimize", ["candidates", "evaluator.num_gpus"]),
        ("sweep", ["trials", "concurrent"]),
        ("front", ["budgets", "resource", "evaluator", "evaluations"]),
        ("demo", ["data", "image_size", "seeds", "actors", "gpus_per_actor", "seed"]),
    ):
        offered = {name for option in commands[command].params for name in option.opts}
        assert set(map(flag, names)) <= offered


def test_one_help_for_a_network_by_both_names(capsys):
    """natrl transform NETWORK is natrl optimize."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    texts = [{o.opts[0]: o.help for o in commands[name].params if len(o.opts)} for name in ("transform", "optimize")]
    both = set(texts[0]) & set(texts[1]) - {"-n", "--out", "--policy"}
    assert {"--data", "--epochs", "--gpus-per-actor", "--resume"} <= both
    assert all(texts[0][option] == texts[1][option] for option in both)
    assert run("optimize", "--help") == 0
    assert "[default: (24)]" in capsys.readouterr().out
