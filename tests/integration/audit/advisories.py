"""A small server of advisories, spoken to by the real pip-audit (OSV's protocol) and the real npm."""

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from devstack.testing.serving import QuietHandler, serving


@dataclass
class Advisories:
    """Name of a package → its one bad version, in both worlds. `asked` are the names that were looked up."""

    url: str
    bad: dict[str, str]
    asked: set[str] = field(default_factory=set)


@contextmanager
def advisories(bad: Mapping[str, str]) -> Iterator[Advisories]:
    served = Advisories("", dict(bad))

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.body()
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            question = json.loads(body)
            served.asked |= {question["package"]["name"]} if self.path == "/osv" else set(question)
            self._say(_osv(served, question) if self.path == "/osv" else _npm(served, question))

        def do_GET(self) -> None:
            # npm asks for the releases of what is bad, to see who cannot do without it.
            name = self.path.removeprefix("/")
            releases = {
                one: {"name": name, "version": one} for one in (served.bad.get(name, "1.0.0"), "9.0.0")
            }
            self._say({"name": name, "versions": releases, "dist-tags": {"latest": "9.0.0"}})

        def _say(self, answer: Any) -> None:
            self.answer(200, json.dumps(answer).encode())

    with serving(Handler) as url:
        served.url = url
        yield served


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
