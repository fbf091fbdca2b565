"""A small server of advisories, spoken to by the real pip-audit (OSV's protocol) and the real npm."""

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Advisories:
    """Name of a package → its one bad version, in both worlds. `asked` are the names that were looked up."""

    url: str
    bad: dict[str, str]
    asked: set[str] = field(default_factory=set)


@contextmanager
def advisories(bad: Mapping[str, str]) -> Iterator[Advisories]:
    served = Advisories("", dict(bad))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            question = json.loads(body)
            served.asked |= {question["package"]["name"]} if self.path == "/osv" else set(question)
            self._answer(_osv(served, question) if self.path == "/osv" else _npm(served, question))

        def do_GET(self) -> None:
            # npm asks for the releases of what is bad, to see who cannot do without it.
            name = self.path.removeprefix("/")
            releases = {
                one: {"name": name, "version": one} for one in (served.bad.get(name, "1.0.0"), "9.0.0")
            }
            self._answer({"name": name, "versions": releases, "dist-tags": {"latest": "9.0.0"}})

        def _answer(self, answer: Any) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests' output is theirs."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def _osv(served: Advisories, question: dict[str, Any]) -> dict[str, Any]:
    name = question["package"]["name"]
    if served.bad.get(name) != question["version"]:
        return {}
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.0.0"}]}]
    affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
    known = {
        "id": f"TEST-{name}",
        "summary": "Known",
        "published": "2026-01-01T00:00:00Z",
        "affected": affected,
    }
    return {"vulns": [known]}


def _npm(served: Advisories, question: dict[str, list[str]]) -> dict[str, Any]:
    return {
        name: [
            {
                "id": 1,
                "url": f"https://github.com/advisories/TEST-{name}",
                "title": f"{name} is known",
                "severity": "critical",
                "vulnerable_versions": f"<={served.bad[name]}",
                "cwe": [],
                "cvss": {"score": 9.8, "vectorString": None},
            }
        ]
        for name, versions in question.items()
        if served.bad.get(name) in versions
    }
