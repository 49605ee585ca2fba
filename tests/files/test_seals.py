"""A sealed folder is whole until a file of it is not what it was."""

from __future__ import annotations

import pytest

from natrl.files.seals import is_sealed, SEAL, seal


@pytest.mark.parametrize("content", [None, b"", b"who", b"WHOLE"])
@pytest.mark.parametrize("name", ["a/b.pt", SEAL])
def test_any_file_that_changes_breaks_the_seal(tmp_path, name, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.pt").write_bytes(b"whole")
    assert not is_sealed(tmp_path)
    seal(tmp_path)
    (tmp_path / "another").write_text("more than was sealed")
    assert is_sealed(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    assert not is_sealed(tmp_path)
