"""schemathesis over the whole document, as client and as admin, on a stack of its own.

Every operation is first asked as a scene has it, which must succeed; then with what the schema allows and with what
it forbids, half of the time about rows that exist. No answer is a 5xx, and each is one that the document tells of.
"""

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from devstack import ROOT, Stack
from tests.conftest import Client, sign_up
from tests.e2e.scenes import SCENES, Scene, World

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
type Operation = APIOperation[Any, Any, Any, Any]
type Modes = tuple[GenerationMode, ...]
type AnyCase = Case[Operation]

MODES: Modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXPENDABLE = 12
"""Logins with the lowest ids: a fuzzer that deletes users likes small numbers."""


@dataclass
class Tally:
    """What was asked, and what was wrong with the answers."""

    answers: Counter[int] = field(default_factory=Counter)
    succeeded: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        return self.answers.total()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # One address asks for everything.
    with Stack(tmp_path_factory.mktemp("fuzz"), parameters={"LimitBySource": "0"}) as stack:
        for _ in range(EXPENDABLE):
            sign_up(stack)
        login = stack.admin("fuzz@example.com")
        yield World(stack, Client(stack.api_url, login.accessToken, login.email, login.password))


def operations() -> list[Operation]:
    document = json.loads((ROOT / "functions" / "docs" / "openapi.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(schemathesis.openapi.from_dict(document).get_all_operations())
    assert len(found) == sum(len(path) for path in document["paths"].values())
    return [result.ok() for result in found if isinstance(result, Ok)]


def ask(case: AnyCase, caller: Client, tally: Tally) -> None:
    headers = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
    answer = case.call(base_url=caller.api_url, headers=headers, allow_redirects=False, timeout=35)
    tally.answers[answer.status_code] += 1
    if answer.status_code < 400:
        tally.succeeded.add(case.operation.label)
    try:
        case.validate_response(answer, checks=CHECKS)
    except (AssertionError, BaseExceptionGroup) as fault:
        tally.faults.setdefault(
            f"{case.operation.label} {answer.status_code}", f"{fault}\n{case.as_curl_command()}"
        )


def as_case(operation: Operation, scene: Scene) -> AnyCase:
    """The scene's request as a case, so that its answer is held against the document too."""
    body: dict[str, Any] = {}
    if scene.body is not None:
        body = {"body": scene.body, "media_type": "application/json"}
    elif scene.content is not None:
        body = {"body": scene.content, "media_type": scene.headers["content-type"]}
    return operation.Case(path_parameters=scene.path, headers=scene.headers, query=scene.query, **body)


def fuzz(
    operation: Operation,
    scene: Scene,
    caller: Client,
    cases: int,
    tally: Tally,
    modes: Modes = MODES,
) -> None:
    """`cases` of what the schema allows and as many of what it forbids; the same ones each run."""
    for mode in modes:

        @seed(1)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), about_a_row=st.booleans())
        def run(case: AnyCase, about_a_row: bool) -> None:
            if about_a_row and scene.path:
                case.path_parameters = dict(scene.path)
            ask(case, caller, tally)

        # What takes nothing has nothing to be wrong.
        with suppress(Unsatisfiable):
            run()


def fuzz_all(world: World, cases: int, modes: dict[str, Modes], every: int = 1) -> Tally:
    """A scene of each operation, and made-up cases of one in `every`. `modes` by the caller's role."""
    tally = Tally()
    for number, operation in enumerate(operations()):
        method, _, path = operation.label.partition(" ")
        build = SCENES[method, path]
        for role in ("owner", "admin"):
            scene = build(world, role)
            caller = scene.caller or world.client_of(role)
            ask(as_case(operation, scene), caller, tally)
            if number % every:
                continue
            if cases > 1:  # the row that was just deleted, paid or sent has less to tell
                scene = build(world, role)
            fuzz(operation, scene, scene.caller or caller, cases, tally, modes[role])
    return tally


def judge(tally: Tally) -> None:
    assert tally.faults == {}, "\n\n".join(f"{name}: {fault}" for name, fault in tally.faults.items())
    assert {operation.label for operation in operations()} - tally.succeeded == set()


def test_a_scene_of_every_operation_and_a_few_made_up_cases(world: World) -> None:
    modes: dict[str, Modes] = {"owner": (GenerationMode.NEGATIVE,), "admin": (GenerationMode.POSITIVE,)}
    tally = fuzz_all(world, cases=1, modes=modes, every=3)
    judge(tally)


@pytest.mark.full
def test_two_thousand_cases(world: World) -> None:
    tally = fuzz_all(world, cases=8, modes={"owner": MODES, "admin": MODES})
    print(tally.cases, "cases:", dict(sorted(tally.answers.items())))
    assert tally.cases >= 2000
    judge(tally)
