"""Where files lie, and how they are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from natrl.files.writing import is_on_network

MOUNTS = r"""overlay / overlay rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
fs-1.efs.eu-west-1.amazonaws.com:/ /mnt/natrl nfs4 rw,vers=4.1 0 0
10.0.0.1@tcp:/scratch /mnt/my\040data lustre rw 0 0
/dev/sda1 /mnt/natrl/local ext4 rw 0 0
bucket /mnt/bucket fuse.s3fs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("/home/me/runs/first/evaluations.db", False),
        ("/tmp/run/evaluations.db", False),
        ("/mnt/natrl/runs/first/evaluations.db", True),
        ("/mnt/natrlx/evaluations.db", False),
        ("/mnt/natrl/local/evaluations.db", False),
        ("/mnt/my data/evaluations.db", True),
        ("/mnt/bucket/evaluations.db", True),
    ],
)
def test_network_file_systems_are_known_by_their_mounts(monkeypatch, path, network):
    monkeypatch.setattr(Path, "read_text", lambda self, **options: MOUNTS)
    assert is_on_network(Path(path)) is network


def test_a_system_that_does_not_tell_counts_as_local(monkeypatch):
    def missing(self, **options):
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", missing)
    assert not is_on_network(Path("/mnt"))
