"""The translated template, once with the parameters of each stage, and every function started from it."""

import pytest

from tests.template.bundle import Bundle, configured_parameters, deploy


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The bundle as samconfig.toml deploys it to production."""
    return deploy(configured_parameters("prod"))


@pytest.fixture(scope="session", params=["dev", "prod"])
def each_stage(request: pytest.FixtureRequest) -> Bundle:
    return deploy(configured_parameters(request.param))
