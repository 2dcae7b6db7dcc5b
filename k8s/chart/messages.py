"""What messages of the chart's channels say where the values do not: the stack's own texts, in the Operator's words."""

from __future__ import annotations

from typing import Any, Final

from ml_monitoring.alerting.generate.inline import inlined
from ml_monitoring.k8s.manifests.alertmanagerconfig import messages as own

_SUBJECT: Final = '{{ template "ml.subject" . }}'
_TEXT: Final = '{{ template "ml.text" . }}'
_MARKDOWN_SUBJECT: Final = '{{ template "ml.markdown.subject" . }}'
_MARKDOWN: Final = '{{ template "ml.markdown" . }}'
# Kinds that only the Operator's words reach. Alertmanager shortens what their services would refuse.
_OTHERS: Final = {
    "discordConfigs": {"title": _MARKDOWN_SUBJECT, "message": _MARKDOWN},
    "msteamsConfigs": {"title": _MARKDOWN_SUBJECT, "text": _MARKDOWN},
    "msteamsv2Configs": {"title": _MARKDOWN_SUBJECT, "text": _MARKDOWN},
    "opsgenieConfigs": {"message": _SUBJECT, "description": _TEXT},
    "pushoverConfigs": {"title": _SUBJECT, "message": _TEXT},
    "snsConfigs": {"subject": _SUBJECT, "message": _TEXT},
    "telegramConfigs": {"message": _TEXT},
    "victoropsConfigs": {"entityDisplayName": _SUBJECT, "stateMessage": _TEXT},
    "webexConfigs": {"message": _MARKDOWN},
    "webhookConfigs": {},
    # It takes 2,048 bytes, and nobody shortens them: Alertmanager's own text stays.
    "wechatConfigs": {},
}


def messages() -> dict[str, dict[str, Any]]:
    """Return the fields of each kind of channel."""
    return own() | {kind: inlined({**text, "sendResolved": True}) for kind, text in _OTHERS.items()}
