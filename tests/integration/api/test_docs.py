"""The API's description as it is served: to a program, to a client generator, and to a person with a browser."""

import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from devstack import CHROMIUM, ROOT, Stack
from printshop.adapters.chromium.installation import find_chromium, make_workspace
from tests.conftest import Client

DESCRIBED = ROOT / "functions" / "docs" / "openapi.json"
FLAGS = (
    "--headless=shell", "--single-process", "--no-zygote", "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--remote-debugging-port=0", "--disable-background-networking",
    # Nothing but this machine can be reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


class Browser:
    """A page of a real Chromium by the DevTools protocol, with what it asked for and what it complained of."""

    def __init__(self, socket: Connection) -> None:
        self._socket, self._ids = socket, count(1)
        self.asked: list[str] = []
        self.complaints: list[Any] = []
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._heard(message["method"], message["params"])

    def _heard(self, event: str, told: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
        elif event == "Log.entryAdded" and told["entry"]["level"] in {"error", "warning"}:
            self.complaints.append((told["entry"]["text"], told["entry"].get("url")))
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"])
        elif event == "Runtime.consoleAPICalled" and told["type"] in {"error", "warning", "assert"}:
            self.complaints.append(told["args"])

    def value(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := self.value(script)):
            assert time.monotonic() < deadline, f"{script} after {seconds} s; {self.complaints}"
            time.sleep(0.05)
        return found

    def click(self, selector: str) -> None:
        self.wait_for(f"!!document.querySelector('{selector}')")
        self.value(f"document.querySelector('{selector}').click()")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    chromium = find_chromium(str(CHROMIUM / "chromium.zst"), layer=Path("/no-layer"))
    environment = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    if chromium.libraries:
        environment |= {"LD_LIBRARY_PATH": str(chromium.libraries), "FONTCONFIG_FILE": str(chromium.fonts)}
    said = tmp_path / "stderr"
    with said.open("wb") as stderr:
        command = [
            str(chromium.unpack(make_workspace())),
            *FLAGS,
            f"--user-data-dir={tmp_path}",
            "about:blank",
        ]
        process = subprocess.Popen(command, env=environment, stderr=stderr)
    try:
        found = None
        while found is None and process.poll() is None:
            found = re.search(r"DevTools listening on ws://([^/]+)/", said.read_text())
        assert found, said.read_text()
        (page,) = (tab for tab in httpx.get(f"http://{found[1]}/json").json() if tab["type"] == "page")
        with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.kill()
        process.wait()


def test_the_description_is_served_as_it_stands_and_only_once(nobody: Client) -> None:
    first = nobody.get("openapi.json")
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/json"
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.content == DESCRIBED.read_bytes()
    assert first.headers["content-encoding"] == "gzip"
    again = nobody.get("openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert nobody.get("openapi.json", headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_page_loads_nothing_from_elsewhere(nobody: Client) -> None:
    page = nobody.get("docs")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert {"default-src 'none'", "script-src 'self'"} <= set(policy.split("; "))
    assert "http" not in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert [link for link in links if not link.startswith(("/api/docs/", "data:,"))] == []
    for link in links[1:]:
        asset = httpx.get(f"{nobody.api_url}{link}")
        assert asset.status_code == 200
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["content-type"].startswith("text/css" if ".css" in link else "text/javascript")
        assert "immutable" not in httpx.get(f"{nobody.api_url}{link}0").headers["cache-control"]


@pytest.mark.parametrize(
    "name", ["app.py", "openapi.json", "..%2Fapp.py", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "oauth2.py"]
)
def test_the_page_has_only_its_own_files(nobody: Client, name: str) -> None:
    assert nobody.get(f"docs/{name}").status_code == 404


def test_the_page_shows_every_operation_in_a_browser_without_a_network(
    stack: Stack, browser: Browser
) -> None:
    browser.call("Page.navigate", url=f"{stack.api_url}/api/docs")
    described = json.loads(DESCRIBED.read_text())
    operations = sum(len(methods) for methods in described["paths"].values())
    browser.wait_for(f"document.querySelectorAll('.opblock').length === {operations}")
    tags = browser.value("[...document.querySelectorAll('.opblock-tag')].map(each => each.dataset.tag)")
    assert tags == [tag["name"] for tag in described["tags"]]
    for step in (".opblock-summary-control", ".try-out__btn", ".execute"):
        browser.click(f"#operations-Health-alive {step}")
    shown = browser.wait_for(
        "document.querySelector('#operations-Health-alive .live-responses-table tbody .response-col_description')"
        "?.innerText"
    )
    assert '"alive"' in shown
    elsewhere = [url for url in browser.asked if not url.startswith((stack.api_url, "data:", "blob:"))]
    assert elsewhere == []
    assert browser.complaints == []


def test_a_client_generated_from_the_description_speaks_to_the_api(
    stack: Stack, shop: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.json"
    # The generator knows JSON and text; whatever else comes as bytes.
    described = set(re.findall(r'"((?:image|application|text)/[\w.+-]+)": ', DESCRIBED.read_text()))
    binary = dict.fromkeys(described - {"application/json", "text/html"}, "application/octet-stream")
    config.write_text(json.dumps({"post_hooks": [], "content_type_overrides": binary}))
    generated = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", str(DESCRIBED)),
            *("--output-path", str(tmp_path / "client"), "--meta", "none", "--config", str(config)),
            "--fail-on-warning",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    (tmp_path / "client").rename(tmp_path / "printshop_client")
    monkeypatch.syspath_prepend(str(tmp_path))
    package: Any = importlib.import_module("printshop_client")
    alive: Any = importlib.import_module("printshop_client.api.health.alive")
    me: Any = importlib.import_module("printshop_client.api.account.me")
    with package.Client(base_url=stack.api_url) as client:
        assert alive.sync(client=client).data.status == "alive"
        refused = me.sync_detailed(client=client)
        assert (refused.status_code, refused.parsed.error.code) == (401, "NO_TOKEN")
    with package.AuthenticatedClient(base_url=stack.api_url, token=shop.token) as client:
        assert me.sync(client=client).data.email == shop.email
