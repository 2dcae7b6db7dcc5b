from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from tools.webhook import WebhookReceiver


def notification(status: str, name: str) -> dict[str, Any]:
    return {"status": status, "alerts": [{"status": status, "labels": {"alertname": name}}]}


def test_records_notifications_and_their_paths_in_order(webhook: WebhookReceiver) -> None:
    httpx.post(f"{webhook.url}mlops", json=notification("firing", "A")).raise_for_status()
    httpx.post(f"{webhook.url}platform", json=notification("resolved", "A")).raise_for_status()
    assert webhook.notifications == [notification("firing", "A"), notification("resolved", "A")]
    assert webhook.paths == ["/mlops", "/platform"]
    assert [alert["status"] for alert in webhook.alerts] == ["firing", "resolved"]


def test_waits_for_an_alert_that_arrives_later(webhook: WebhookReceiver) -> None:
    timer = threading.Timer(0.2, httpx.post, args=[webhook.url], kwargs={"json": notification("firing", "Late")})
    timer.start()
    assert webhook.wait_for(lambda alert: alert["labels"]["alertname"] == "Late", timeout=10)["status"] == "firing"
    timer.join()


def test_waiting_in_vain_says_what_was_received_instead(webhook: WebhookReceiver) -> None:
    httpx.post(webhook.url, json=notification("firing", "Other"))
    with pytest.raises(TimeoutError) as caught:
        webhook.wait_for(lambda alert: alert["status"] == "resolved", timeout=0.1)
    assert str(caught.value) == "nothing such within 0.1 s; received: [\"firing {'alertname': 'Other'}\"]"


def test_can_fail_and_recover_as_a_real_receiver_does(webhook: WebhookReceiver) -> None:
    webhook.answer_with(503)
    assert httpx.post(webhook.url, json=notification("firing", "A")).status_code == 503
    webhook.answer_with(200)
    assert httpx.post(webhook.url, json=notification("firing", "A")).status_code == 200
    assert len(webhook.notifications) == 1


@pytest.mark.parametrize("content", ["not json", "[]", '{"alerts": 1}'])
def test_refuses_what_is_not_a_notification(webhook: WebhookReceiver, content: str) -> None:
    assert httpx.post(webhook.url, content=content).status_code == 400
    assert webhook.notifications == []


def test_gives_its_port_back() -> None:
    with WebhookReceiver() as receiver:
        url = receiver.url
    with pytest.raises(httpx.ConnectError):
        httpx.post(url, json=notification("firing", "A"))
