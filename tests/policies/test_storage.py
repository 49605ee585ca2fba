"""Policies on disk: what comes back, and what is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import natrl
from natrl.core.operations import VOCABULARY
from natrl.policies import load_policy, Policy, PolicyConfig, PolicyNetwork, storage
from tests.policies.observations import HEADS, policy, samples


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    policy("darts", "autoregressive", rule="nat", cost="live").save(tmp_path / "p")
    return tmp_path / "p"


@pytest.mark.parametrize("head", HEADS)
def test_a_loaded_policy_transforms_equally(tmp_path: Path, head: str) -> None:
    original, architectures = policy("darts", head, seed=4), samples("darts", 20)
    original.save(tmp_path / "some" / "folder")
    loaded = load_policy(tmp_path / "some" / "folder")
    assert loaded.network.config == original.network.config
    assert loaded.transform_batch(architectures) == original.transform_batch(architectures)
    ours, theirs = (p.transform(natrl.parse("DARTS"), seed=3) for p in (original, loaded))
    assert ours.architectures == theirs.architectures
    assert ours.log_probabilities.tolist() == theirs.log_probabilities.tolist()


def test_space_rule_and_cost_mode_come_back(saved: Path) -> None:
    loaded = natrl.load_policy(str(saved))
    assert (loaded.space.name, loaded.rule, loaded.cost) == ("darts", "nat", "live")


def test_the_document_says_what_the_policy_is(saved: Path) -> None:
    document = json.loads((saved / "policy.json").read_text())
    assert (document["format"], document["version"], document["natrl"]) == ("natrl.policy", 1, natrl.__version__)
    assert document["vocabulary"] == list(VOCABULARY)
    assert document["config"]["head"] == "autoregressive"
    assert {path.name for path in saved.iterdir()} == {"policy.json", "policy.safetensors"}


def test_a_run_directory_holds_its_policy_in_a_folder(tmp_path: Path) -> None:
    policy("nasbench201", "joint").save(tmp_path / "run" / "policy")
    assert load_policy(tmp_path / "run").space.name == "nasbench201"


def test_saving_again_replaces(saved: Path) -> None:
    policy("nasbench201", "lstm").save(saved)
    assert load_policy(saved).network.config.head == "lstm"


def change(path: Path, **entries: Any) -> None:
    document = json.loads(path.read_text()) | entries
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def cut_rows(path: Path) -> None:
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("of_kernel.weight"))
    save_file(weights | {name: weights[name][:-1].clone()}, path)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no document": (lambda p: (p / "policy.json").unlink(), "neither a policy nor a run: neither policy.json nor"),
    "not JSON": (lambda p: (p / "policy.json").write_text("{"), "policy.json: not JSON: Expecting property name"),
    "not text": (
        lambda p: (p / "policy.json").write_bytes(b"\xff\xfe"),
        "policy.json: not UTF-8 text: invalid start byte at byte 0",
    ),
    "no object": (
        lambda p: (p / "policy.json").write_text("[]"),
        r"policy.json: expected names and their values, got \[\]",
    ),
    "another format": (lambda p: change(p / "policy.json", format="x"), '"format" must be "natrl.policy"'),
    "another version": (lambda p: change(p / "policy.json", version=2), "policy version 2 is unknown"),
    "no space": (lambda p: change(p / "policy.json", space=None), "policy.json: the entry 'space' is missing"),
    "unknown space": (lambda p: change(p / "policy.json", space="mine"), "unknown space 'mine'; known: darts"),
    "unknown rule": (lambda p: change(p / "policy.json", rule="nat3"), "unknown rule 'nat3'"),
    "no configuration": (lambda p: change(p / "policy.json", config=[1]), "policy.json: a policy configuration has"),
    "malformed configuration": (
        lambda p: change(p / "policy.json", config=PolicyConfig(("null",)).to_dict() | {"head": "x"}),
        "policy.json: unknown head 'x'",
    ),
    "another vocabulary": (
        lambda p: change(p / "policy.json", vocabulary=[*VOCABULARY, "conv_9x9"]),
        r"made with another vocabulary \(31 entries, this natrl has 30; differing: conv_9x9\); train it again",
    ),
    "rows cut off": (lambda p: cut_rows(p / "policy.safetensors"), "policy.safetensors does not fit its policy.json"),
    "an empty vocabulary": (
        lambda p: change(p / "policy.json", vocabulary=[]),
        r"made with another vocabulary \(no entries, this natrl has 30",
    ),
    "another order": (
        lambda p: change(p / "policy.json", vocabulary=list(reversed(VOCABULARY))),
        r"made with another vocabulary \(30 entries, this natrl has 30; in another order\)",
    ),
    "no vocabulary": (
        lambda p: change(p / "policy.json", vocabulary=None),
        r"made with another vocabulary \(no entries, this natrl has 30",
    ),
    "other features": (
        lambda p: change(p / "policy.json", features=["entry"]),
        r"made with other features \(1 entries, this natrl has 26",
    ),
    "weights elsewhere": (
        lambda p: change(p / "policy.json", weights="../../x.safetensors"),
        r"policy.json: \"weights\" must be policy.safetensors or policy-2.safetensors, got '../../x.safetensors'",
    ),
    "no weights": (lambda p: (p / "policy.safetensors").unlink(), "policy.safetensors is damaged or missing"),
    "half the weights": (lambda p: cut(p / "policy.safetensors"), "policy.safetensors is damaged or missing"),
    "another width": (
        lambda p: change(
            p / "policy.json", config=json.loads((p / "policy.json").read_text())["config"] | {"width": 8}
        ),
        "policy.safetensors does not fit its policy.json: .*size mismatch",
    ),
}


def test_policies_of_before_an_operation_was_appended_load_and_act_as_they_did(
    saved: Path, forgotten_operations: None
) -> None:
    """One with a new type and a new kernel: it gets the embedding of a new network, the same at each loading."""
    before, architectures = load_policy(saved), samples("darts", 20)
    natrl.register_operation("fold_9x9", type="fold", kernel=9, cost=lambda *_: natrl.Cost(), may_become=())
    loaded, again = load_policy(saved), load_policy(saved)
    assert loaded.transform_batch(architectures) == before.transform_batch(architectures)
    for part in ("of_type", "of_kernel"):
        old, new, same = (getattr(p.network.encoder.embedding.operations, part).weight for p in (before, loaded, again))
        assert len(new) == len(old) + 1
        assert torch.equal(new[:-1], old)
        assert torch.equal(new, same)
    loaded.save(saved)
    assert json.loads((saved / "policy.json").read_text())["vocabulary"][-1] == "fold_9x9"
    assert load_policy(saved).transform_batch(architectures) == before.transform_batch(architectures)


def test_policies_of_the_first_vocabulary_load_and_act_as_they_did(saved: Path, forgotten_operations: None) -> None:
    """With an operation that was registered then, which stands where natrl's own of now do."""
    natrl.register_operation("fold_9x9", type="fold", kernel=9, cost=lambda *_: natrl.Cost(), may_become=())
    policy("darts", "autoregressive", rule="nat", cost="live").save(saved)
    before, architectures = load_policy(saved), samples("darts", 20)
    document = json.loads((saved / "policy.json").read_text())
    weights, names = load_file(saved / document["weights"]), ("vocabulary", "types", "kernels")
    first = {"vocabulary": 22, "types": 8, "kernels": 6}
    kept = {name: [*range(first[name]), len(document[name]) - 1] for name in names}
    change(saved / "policy.json", **{name: [document[name][i] for i in kept[name]] for name in names})
    for name, tensor in weights.items():
        if name.endswith("of_type.weight"):
            weights[name] = tensor[kept["types"]].clone()
    save_file(weights, saved / document["weights"])
    assert load_policy(saved).transform_batch(architectures) == before.transform_batch(architectures)


def test_a_horizon_comes_back_and_without_one_nothing_is_said_of_it(saved: Path) -> None:
    assert "horizon" not in json.loads((saved / "policy.json").read_text())["config"]
    several = PolicyNetwork(PolicyConfig(natrl.space("darts").primitives, width=16, horizon=3))
    Policy(several, "darts").save(saved)
    assert load_policy(saved).network.config == several.config


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_in_one_line(saved: Path, damage: str) -> None:
    spoil, message = DAMAGE[damage]
    spoil(saved)
    with pytest.raises(ValueError, match=message) as caught:
        load_policy(saved)
    assert "\n" not in str(caught.value)


def test_there_is_no_such_directory(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'.*gone' is neither a policy nor a run: there is no such directory"):
        load_policy(tmp_path / "gone")


def test_nothing_is_unpickled(saved: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("unpickled",))

    for write in (lambda path: path.write_bytes(pickle.dumps(Trap())), lambda path: torch.save(Trap(), path)):
        write(saved / "policy.safetensors")
        with pytest.raises(ValueError, match="damaged or missing"):
            load_policy(saved)


def test_a_policy_that_cannot_be_written_leaves_the_old_one(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the middle of writing: the files are replaced whole or not at all."""
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def crash(tensors: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("natrl.policies.storage.save_file", crash)
    with pytest.raises(OSError, match="disk full"):
        policy("nasbench201", "joint").save(saved)
    assert before.items() <= {path.name: path.read_bytes() for path in saved.iterdir()}.items()
    assert isinstance(load_policy(saved), Policy)


class Killed(BaseException):
    pass


def killed_after(operations: int, monkeypatch: pytest.MonkeyPatch, write: Callable[[], None]) -> bool:
    """Whether it was killed: `write` ends before its file operation of that number."""
    left = [operations]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def operate(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*arguments, **options)

        return operate

    with monkeypatch.context() as patch:
        for owner, name in ((os, "replace"), (os, "open"), (Path, "unlink"), (Path, "write_text"), (Path, "mkdir")):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        for name in ("save_file", "shutil.copyfile"):
            target = f"natrl.policies.storage.{name}"
            patch.setattr(target, counted(attrgetter(name)(storage)))
        try:
            write()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("how", ["save", "copy"])
def test_a_kill_at_any_moment_leaves_a_whole_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Before each file operation of replacing a policy by one of another space and head."""
    old, new = policy("darts", "joint"), policy("nasbench201", "lstm")
    new.save(tmp_path / "new")
    seen = []
    for operations in count():
        target = tmp_path / str(operations)
        old.save(target)

        def write(target: Path = target) -> None:
            if how == "save":
                new.save(target)
            else:
                storage.copy_policy(tmp_path / "new", target)

        killed = killed_after(operations, monkeypatch, write)
        found = load_policy(target)
        seen.append(found.network.config.head)
        assert found.space.name == {"joint": "darts", "lstm": "nasbench201"}[seen[-1]]
        new.save(target)  # the next one gets through
        assert load_policy(target).space.name == "nasbench201"
        if not killed:
            break
    assert seen == sorted(seen), "the new one does not give way to the old one again"
    assert set(seen) == {"joint", "lstm"}
    assert len(seen) > 5
    assert len(list(target.iterdir())) == 2
