"""What the tests of whole stacks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.webhook import WebhookReceiver


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver
