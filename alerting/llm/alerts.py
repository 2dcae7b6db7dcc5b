"""Alerts on language models: first tokens come late, requests pile up, the cache is full, clients give up."""

from __future__ import annotations

from ml_monitoring.alerting.llm.signals import FIRST_TOKEN_BURNING, LLM_ABORTS, LLM_BACKLOG, LLM_CACHE_LOWEST
from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.evidence import Events, Trials

_MODEL = "{{ $labels.model }} ({{ $labels.job }}{{ with $labels.origin }}, {{ . }}{{ end }})"

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="LlmFirstTokenBudgetBurns",
        condition=(
            "A model's budget of late first tokens (<llm.first_token> come within <llm.first_token_threshold>) burns "
            "at a rate above <slos.page_fast.factor> (<llm.first_token.page_fast> are late), over "
            "<slos.page_fast.long> and over the last <slos.page_fast.short>, or above <slos.page_slow.factor> "
            "(<llm.first_token.page_slow>), over <slos.page_slow.long> and the last <slos.page_slow.short>, where 1 "
            "uses it up in <slos.period>, and at least <slos.minimum_page_failures> answers in the longer time began "
            "late."
        ),
        signal=FIRST_TOKEN_BURNING,
        comparison=">",
        summary="The first tokens of a language model come late.",
        description=(
            f"The first-token budget of {_MODEL} burns {{{{ $value | humanize }}}} times as fast as calls for an alert."
        ),
    ),
    Alert(
        name="LlmQueueBacklog",
        condition="More than <threshold> requests wait for a model, at every moment of <traffic.window>.",
        signal=LLM_BACKLOG,
        comparison=">",
        summary="Requests to a language model pile up.",
        description=f"At least {{{{ $value }}}} requests wait for {_MODEL} all the time: more come than are answered.",
    ),
    Alert(
        name="LlmKvCacheFull",
        condition="More than <threshold> of a model's KV cache is used, at every moment of <traffic.window>.",
        signal=LLM_CACHE_LOWEST,
        comparison=">",
        absent="Some servers do not expose it; when the service itself is gone, MlMonitoringJobVanished fires.",
        summary="The KV cache of a language model is full.",
        description=f"At least {{{{ $value | humanizePercentage }}}} of the KV cache of {_MODEL} is used all the time.",
    ),
    Alert(
        name="LlmAbortRatioHigh",
        condition="Clients leave more than <threshold> of the answers of a model before their end.",
        signal=LLM_ABORTS,
        comparison=">",
        evidence=(
            Trials("model_origin:ml_gen_ai_responses:count"),
            Events(
                "model_origin:ml_gen_ai_aborts:ratio * model_origin:ml_gen_ai_responses:count",
                "minimum_aborts",
                "aborted answers within <traffic.window>",
            ),
        ),
        parameters={"minimum_aborts": Kind.COUNT},
        summary="Clients do not wait for the answers of a language model.",
        description=f"{{{{ $value | humanizePercentage }}}} of the answers of {_MODEL} are aborted by their clients.",
    ),
)
