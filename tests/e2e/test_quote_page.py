"""A person opens a quote's link in a browser, writes a note and presses a button."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from devstack import CHROMIUM, Stack
from printshop.adapters.chromium.installation import find_chromium, make_workspace
from tests.conftest import Client, sign_up

FLAGS = (
    "--headless=shell", "--single-process", "--no-zygote", "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--remote-debugging-port=0",
)  # fmt: skip


class Browser:
    """A page of a real Chromium, scripts on, by the DevTools protocol."""

    def __init__(self, socket: Connection) -> None:
        self._socket, self._ids = socket, count(1)
        self.said: list[str] = []
        """What the page's console said: a script that its policy refuses is told there."""

    def call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=15))
            if message.get("method") == "Log.entryAdded":
                self.said.append(message["params"]["entry"]["text"])
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def value(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        self.call("Log.enable")
        self.call("Page.enable")
        self.call("Page.navigate", url=url)
        self.value(
            "new Promise(done => { const look = () => document.readyState === 'complete' && location.href !== "
            "'about:blank' ? done() : setTimeout(look, 20); look(); })"
        )


@pytest.fixture(scope="module")
def browser(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    chromium = find_chromium(str(CHROMIUM / "chromium.zst"), layer=Path("/no-layer"))
    environment = {"HOME": str(folder), "TMPDIR": str(folder), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    if chromium.libraries:
        environment |= {"LD_LIBRARY_PATH": str(chromium.libraries), "FONTCONFIG_FILE": str(chromium.fonts)}
    said = folder / "stderr"
    with said.open("wb") as stderr:
        command = [str(chromium.unpack(make_workspace())), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(command, env=environment, stderr=stderr)
    try:
        found = None
        while found is None and process.poll() is None:
            found = re.search(r"DevTools listening on ws://([^/]+)/", said.read_text())
        assert found, said.read_text()
        (page,) = (tab for tab in httpx.get(f"http://{found[1]}/json").json() if tab["type"] == "page")
        with connect(page["webSocketDebuggerUrl"]) as socket:
            yield Browser(socket)
    finally:
        process.kill()
        process.wait()


STATE = "document.getElementById('state').textContent"


def press(browser: Browser, button: str) -> str:
    """What the page says after the button."""
    before = browser.value(STATE)
    browser.value(f"document.querySelector('button[value={button}]').click()")
    said: str = browser.value(
        f"new Promise(done => {{ const look = () => {STATE} !== {json.dumps(before)} "
        f"? done({STATE}) : setTimeout(look, 20); look(); }})"
    )
    return said


def test_a_click_accepts_the_quote_and_a_second_page_hears_that_it_was_decided(
    stack: Stack, shop: Client, browser: Browser
) -> None:
    client = sign_up(stack, "Clicking Client")
    body = {"clientId": client.user["clientId"], "items": [{"description": "Cube", "unitPriceCents": 5000}]}
    path = f"quotes/{shop.data('POST', 'quotes', body)['id']}"
    sent = shop.data("POST", f"{path}/send", {}, headers={"Idempotency-Key": str(uuid4())})
    browser.open(sent["publicUrl"])
    assert browser.said == []
    browser.value("document.getElementById('note').value = 'In black, \"please\"'")
    assert press(browser, "accept") == "Thank you. You accepted this quote."
    assert browser.value("document.querySelector('form')") is None
    quote = shop.data("GET", path)
    assert (quote["status"], quote["decisionNote"]) == ("ACCEPTED", 'In black, "please"')

    twin = shop.data("POST", f"{path}/duplicate")
    sent = shop.data("POST", f"quotes/{twin['id']}/send", {}, headers={"Idempotency-Key": str(uuid4())})
    browser.open(sent["publicUrl"])
    client.data("POST", f"quotes/{twin['id']}/decline")
    assert "is DECLINED" in press(browser, "accept")
