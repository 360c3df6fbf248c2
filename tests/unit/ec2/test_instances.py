from __future__ import annotations

import pytest

from kilonova.ec2.instances import metadata_options


@pytest.mark.parametrize(
    ("written", "shown"), [("5", 5), ("65", 64), ("0", 64), ("many", 64), ("\u0665", 64), ("", 64)]
)
def test_what_users_write_of_hops_shows_where_it_is_a_number_of_hops(written: str, shown: int) -> None:
    assert metadata_options({"ec2:http-hop-limit": written})["HttpPutResponseHopLimit"] == shown
