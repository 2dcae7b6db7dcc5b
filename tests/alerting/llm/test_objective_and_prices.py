"""What settings say of language models: prices become cost, and the objective is counted at a bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ml_monitoring.alerting.domains import load_thresholds
from tests.support.rules import check_rules

_LABELS = 'job="llm",model_version="1",model'
_TOKENS = {
    f'ml_gen_ai_usage_tokens_sum{{{_LABELS}="{model}",token_type="{kind}",instance="{instance}"}}': f"0+{tokens}x10"
    for model in ("org/chat-8b", "free")
    for kind, tokens in (("input", 6_000_000), ("output", 600_000))
    for instance in ("a", "b")
}
_COST = "model_token_type_origin:ml_gen_ai_cost:rate"


def test_tokens_cost_what_the_settings_say_and_nothing_without_a_price(
    programs: dict[str, Path], tmp_path: Path
) -> None:
    prices = {"org/chat-8b": {"input": 0.05, "output": 0.8}}
    expected = {
        # Two instances, 100,000 and 10,000 tokens a second each.
        f'{_COST}{{model="org/chat-8b",token_type="input"}}': 2 * 0.1 * 0.05,
        f'{_COST}{{model="org/chat-8b",token_type="output"}}': 2 * 0.01 * 0.8,
        f'{_COST}{{model="free"}}': None,
    }
    thresholds = load_thresholds().changed({"llm": {"prices": prices}})
    check_rules(programs["promtool"], tmp_path, _TOKENS, expected, at="10m", topics=("llm",), thresholds=thresholds)
    check_rules(programs["promtool"], tmp_path, _TOKENS, {_COST: None}, at="10m", topics=("llm",))


@pytest.mark.parametrize("name", ['a"b', "a$1", "a\\b", ""])
def test_a_model_that_promql_would_misread_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        load_thresholds().changed({"llm": {"prices": {name: {"input": 1}}}})


def test_an_objective_between_two_buckets_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a bucket"):
        load_thresholds().changed({"llm": {"first_token_threshold": 0.3}})


def test_a_bound_is_met_as_client_libraries_and_as_otlp_write_it() -> None:
    slow = load_thresholds().changed({"llm": {"first_token_threshold": 1}})
    assert slow.section_placeholders()["llm.first_token_bound"] == '=~"1|1.0"'
