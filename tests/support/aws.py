"""AWS for what reads its secrets in the tests' own process: moto, by the real boto3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devstack.aws import REGION, Aws


@contextmanager
def aws_of_this_process(folder: Path) -> Iterator[Aws]:
    """A server of its own, and the environment that leads boto3 there."""
    server = Aws(folder)
    server.start()
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
            environment.setenv("AWS_DEFAULT_REGION", REGION)
            environment.setenv("AWS_ACCESS_KEY_ID", "local")
            environment.setenv("AWS_SECRET_ACCESS_KEY", "local")
            yield server
    finally:
        server.stop()
