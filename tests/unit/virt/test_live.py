from __future__ import annotations

import pytest

from kilonova.compute.virt.libvirt.live import is_inside


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/s/1/disk", True),
        ("/s/1/a/disk", True),
        ("/s/2/disk", False),
        ("/etc/shadow", False),
        ("/s/1/../2/disk", False),
    ],
)
def test_only_the_servers_own_files_are_taken(path: str, own: bool) -> None:
    assert is_inside(path, "/s/1/") is own
