"""Consoles from the API to the guest: what a program gets, what a person sees in a browser, and when a URL is void."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.eventually import PATIENCE, eventually
from tests.process.cloud.browser import browsing
from tests.process.cloud.consoles import end_of, opened, refused, said, serial, vnc
from tests.process.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def image(demo: Api) -> str:
    return demo.image("console")


@pytest.fixture
def server(demo: Api, image: str) -> Iterator[str]:
    made = demo.launch(image, name="guest-1")
    demo.wait(made, "ACTIVE")
    yield made
    demo("DELETE", "compute", f"/servers/{made}")
    demo.wait_gone(made)


def act(api: Api, server: str, status: str, **action: object) -> None:
    assert api("POST", "compute", f"/servers/{server}/action", action).status_code == 202
    api.wait(server, status)


def test_a_url_is_of_use_once(demo: Api, server: str) -> None:
    url = serial(demo, server)
    with opened(url) as console:
        assert refused(url) == 403
        console.send("root\r")
        said(console, b"Hello, root")


def test_a_console_and_its_urls_end_when_the_server_stops(demo: Api, server: str) -> None:
    unused = [vnc(demo, server), serial(demo, server)]
    with opened(vnc(demo, server)) as console:
        assert console.recv(timeout=PATIENCE) == b"RFB 003.008\n"
        act(demo, server, "SHUTOFF", **{"os-stop": None})
        assert end_of(console) == "the console has ended"
    answer = demo(
        "POST",
        "compute",
        f"/servers/{server}/remote-consoles",
        {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    )
    assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, "Unavailable console type vnc.")
    act(demo, server, "ACTIVE", **{"os-start": None})
    assert [refused(url) for url in unused] == [403, 403]
    with opened(vnc(demo, server)) as console:
        assert console.recv(timeout=PATIENCE) == b"RFB 003.008\n"


def test_urls_end_when_the_server_moves(cloud: CloudProcess, demo: Api, server: str) -> None:
    unused = serial(demo, server)
    act(cloud.api(), server, "VERIFY_RESIZE", migrate=None)
    assert refused(unused) == 403
    with opened(serial(demo, server)) as console:
        assert console.recv(timeout=PATIENCE)


def test_urls_end_with_the_server(demo: Api, image: str) -> None:
    server = demo.launch(image)
    demo.wait(server, "ACTIVE")
    unused = serial(demo, server)
    with opened(serial(demo, server)) as console:
        demo.ok("DELETE", "compute", f"/servers/{server}")
        assert end_of(console) == "the console has ended"
    demo.wait_gone(server)
    assert refused(unused) == 403


def test_what_a_person_sees(demo: Api, server: str) -> None:
    """Types a name at the login of the serial console, and sees the picture of the other one change."""
    url = serial(demo, server).replace("ws://", "http://")
    screen = vnc(demo, server)
    with browsing() as page:
        page.goto(url)
        page.locator(".xterm-rows").get_by_text("guest-1 login:").first.wait_for()
        assert "token" not in page.url
        page.keyboard.type("root\n")
        page.locator(".xterm-rows").get_by_text("Hello, root").wait_for()
        page.goto(url)
        page.get_by_text("Not connected: this address was used before, or is too old. Ask for a new one.").wait_for()
        page.goto(screen)
        page.get_by_text("Connected to guest-1").wait_for()
        assert page.title() == "guest-1"
        canvas = page.locator("canvas")
        before = canvas.screenshot()
        page.keyboard.press("a")
        eventually(lambda: canvas.screenshot() != before, "the picture does not change", 20, pause=0.1)
