from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.aws import Aws
from devstack.gateway import Gateway

SITE = Path(__file__).parent / "site"

Start = Callable[..., Gateway]


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    aws = Aws(tmp_path_factory.mktemp("aws"))
    aws.start()
    aws.put_secret("gateway-tests/token", {"value": "s3cret"})
    yield aws
    aws.stop()


@pytest.fixture(scope="session")
def gateway(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A shared gateway: a test may neither stop it nor kill processes that it did not start."""
    gateway = Gateway(
        SITE / "template.yaml", tmp_path_factory.mktemp("gateway"), parameters={"Colour": "red"}, aws=aws
    )
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def start_gateway(aws: Aws, tmp_path: Path) -> Iterator[Start]:
    """Starts gateways for one test, each with its own queues."""
    started: list[Gateway] = []

    def start(**options: Any) -> Gateway:
        settings = {
            "parameters": {"Colour": "red"},
            "stack_name": f"{tmp_path.name}-{len(started)}",
            **options,
        }
        template = settings.pop("template", SITE / "template.yaml")
        gateway = Gateway(template, tmp_path / "run", aws=aws, **settings)
        started.append(gateway)
        gateway.start()
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.api_url, timeout=20) as client:
        yield client
