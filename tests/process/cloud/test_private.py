"""What a cloud keeps is for its own account alone, and holds no longer than needed what users want kept secret."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from tests.process.cloud.harness import PASSWORD, CloudProcess

ADMIN_PASS, USER_DATA, FILE = "Hidden-admin-pass", "hidden user data", "hidden file of the guest"
STEPS = ("networking", "define")


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def open_to_others(state: Path) -> list[str]:
    """What others may read or write; the log that the test makes is not the cloud's."""
    found = [state, *state.rglob("*")]
    return [
        f"{path} {stat.S_IMODE(path.lstat().st_mode):o}" for path in found
        if path.name != "test.log" and path.exists() and path.lstat().st_mode & 0o077
    ]  # fmt: skip


def holding(state: Path, *secrets: str) -> list[str]:
    """Files with any of these texts, plain or in base64."""
    wanted = [form.encode() for text in secrets for form in (text, coded(text).rstrip("="))]
    files = [path for path in state.rglob("*") if path.is_file()]
    return [str(path.relative_to(state)) for path in files if any(text in path.read_bytes() for text in wanted)]


def launched(cloud: CloudProcess) -> str:
    """A server with all kinds of secrets, just asked for."""
    api = cloud.api("demo", version="2.56")
    personality = [{"path": "/etc/hidden", "contents": coded(FILE)}]
    return api.launch(api.image("x"), adminPass=ADMIN_PASS, user_data=coded(USER_DATA), personality=personality)


def test_a_fresh_cloud_is_closed(scratch_cloud: CloudProcess) -> None:
    """Even where the shell's umask says otherwise."""
    scratch_cloud.wrap = ["sh", "-c", 'umask 000; exec "$0" "$@"']
    scratch_cloud.start()
    scratch_cloud.state.chmod(0o700)  # the test made it
    scratch_cloud.api("demo").wait(launched(scratch_cloud), "ACTIVE")
    assert open_to_others(scratch_cloud.state) == []


def test_what_an_older_release_left_open_is_closed(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start()
    scratch_cloud.api("demo").wait(launched(scratch_cloud), "ACTIVE")
    scratch_cloud.kill()
    (scratch_cloud.state / "kilonova.log").write_text("of an earlier one")
    for path in (scratch_cloud.state, *scratch_cloud.state.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    scratch_cloud.start()
    assert open_to_others(scratch_cloud.state) == []
    assert os.access(scratch_cloud.state / "kilonova.log", os.R_OK)


def test_the_journal_holds_no_secrets(scratch_cloud: CloudProcess) -> None:
    """Not even while a launch is going on, and it can be taken up without them."""
    scratch_cloud.start(KILONOVA_FAULTS="step=define,when=after,do=kill")
    server = launched(scratch_cloud)
    scratch_cloud.died()
    journal = scratch_cloud.state / "journal"
    assert server in "".join(path.read_text() for path in journal.iterdir())
    assert holding(journal, ADMIN_PASS, USER_DATA, FILE) == []
    scratch_cloud.start()
    assert scratch_cloud.api("demo").wait(server, "ACTIVE")["status"] == "ACTIVE"


def test_secrets_that_were_used_are_nowhere(scratch_cloud: CloudProcess) -> None:
    """The user data is asked for by the guest for as long as it lives, so the database has it until the server goes."""
    scratch_cloud.start()
    api = scratch_cloud.api("demo")
    server = launched(scratch_cloud)
    api.wait(server, "ACTIVE")
    scratch_cloud.stop()
    assert holding(scratch_cloud.state, ADMIN_PASS, PASSWORD) == ["secrets.json"]
    assert holding(scratch_cloud.state, USER_DATA, FILE) == ["db/compute.sqlite"]
