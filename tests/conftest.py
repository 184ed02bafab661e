"""The few fixtures everybody uses."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on the event loop that the product runs on."""
    return "asyncio"
