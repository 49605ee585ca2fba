"""Networks by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from natrl.modules.references import load_network
from tests.modules.trained import Residual


def test_a_users_function_and_weights_of_either_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(
        "from tests.modules.trained import Residual\ndef build(): return Residual().train()\ndef wrong(): return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    state = Residual().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pt")
    for file in ("w.safetensors", "w.pt"):
        network = load_network("my_networks:build", num_classes=10, weights=tmp_path / file)
        assert isinstance(network, Residual)
        assert not network.training
        torch.testing.assert_close(dict(network.state_dict()), dict(state))
    with pytest.raises(ValueError, match=r"expected an nn\.Module, got int"):
        load_network("my_networks:wrong", num_classes=10)
    torch.save({**state, "stem.weight": state["norm.bias"]}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"do not fit 'my_networks:build': .*stem.weight"):
        load_network("my_networks:build", num_classes=10, weights=tmp_path / "w.pt")


def test_torchvision_and_timm_networks_get_the_classes_of_the_data(tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    file = tmp_path / "w.safetensors"
    save_file(squeezenet1_1(num_classes=7).state_dict(), file)
    assert load_network("torchvision:squeezenet1_1", num_classes=7, weights=file).num_classes == 7
    with pytest.raises(ValueError, match=r"no classification network 'resnet19'; it has: .*resnet18"):
        load_network("torchvision:resnet19", num_classes=7)
    with pytest.raises(ValueError, match="timm"):
        load_network("timm:resnet19x", num_classes=7)


def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"trap": Trap()}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="do not fit"):
        load_network("torchvision:squeezenet1_1", num_classes=7, weights=tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()
