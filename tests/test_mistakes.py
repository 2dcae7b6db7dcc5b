"""Typical mistakes are answered in words, not in those of a library, and say what would be right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ml_monitoring.alerting import extensions, options
from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.thresholds import load_layers, validated
from ml_monitoring.cli import main
from ml_monitoring.exporter import cli
from ml_monitoring.exporter.config import read_all
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_hints import PATTERNS
from tools.stack import ROOT

_EXPERIMENT = (
    "sources: {experiments: {url: 'http://127.0.0.1:9', database: 'sqlite:////x', declared: {a: {start: START, "
    "arms: ARMS, baseline: x, metrics: {m: {kind: mean, query: SELECT 1}}}}}}"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            _EXPERIMENT.replace("START", "31.01.2026").replace("ARMS", "{x: 1, y: 1}"),
            "start: is no time: write it as 2026-01-31 or 2026-01-31T08:00, in UTC or with a zone such as +01:00",
        ),
        (
            _EXPERIMENT.replace("START", "2026-01-31").replace("ARMS", "{x: 1}"),
            "arms: needs at least 2, and has 1",
        ),
        (
            _EXPERIMENT.replace("START", "2026-01-31").replace("arms: ARMS", "variants: [a]"),
            "a.variants: unknown key; did you mean arms?",
        ),
        (
            "sources: {queries: {a: {uri: 'sqlite:////x', sql_file: a.sql, metrics: {a: {value: a, help: A.}}}}}",
            "sources.queries.a.sql_file: unknown key; did you mean sql? It is given in this file itself",
        ),
        (
            "sources: {queries: {metrics: {a: {value: a, help: A.}}}}",
            "sources.queries.metrics: is a setting of each: write it below a name, as sources.queries.NAME.metrics",
        ),
        (
            "sources: {queries: {a: {uri: 'sqlite:////x', sql: SELECT 1, metrics: [{name: shop_orders}]}}}",
            "a.metrics: must be no list: write `shop_orders:` without a dash, and its settings indented below it",
        ),
        (
            "sources: {queries: {a: {store: mlflow, sql: SELECT 1, metrics: {a: {value: a, help: A.}}}}}",
            "sources.queries.a.store: there is no source 'mlflow' with a database; give the file that has it, too",
        ),
        (
            "sources: {queries: {a: {uri: 'sqlite:////x', sql: S, metrics: {a: {type: counter, value: a, help: A.}}}}}",
            "sources.queries.a.metrics.a: the name of a counter ends in _total: call it a_total",
        ),
        ("sources: {mlflow: {uri: postgres//db/mlflow}}", "sqlite:///: a colon is missing before //"),
        ("sources: {mlflow: {uri: 'uri: sqlite:////x'}}", "without a key before it"),
        (
            "sources: {mlflow: {uri: 'jdbc:postgresql://db/mlflow'}}",
            "must hold the address alone, without jdbc: before it",
        ),
        (
            "sources: {mlflow: {uri: databricks}}",
            "mysql:// or sqlite:///, not with databricks: write https://HOST, with a personal token as token or "
            "MLFLOW_TRACKING_TOKEN",
        ),
        (
            "sources: {mlflow: {uri: 'databricks://profile'}}",
            "not with databricks: write https://HOST, with a personal token as token or MLFLOW_TRACKING_TOKEN",
        ),
        (
            "sources: {mlflow: {uri: 'mssql://h/d'}}",
            "not with mssql: another database is read over its tracking server",
        ),
        (
            "sources: {mlflow: {uri: 'https://h', username: bob}}",
            "sources.mlflow: password: is missing: username and password belong together",
        ),
        (
            "sources: {mlflow: {uri: 'https://h', password: p}}",
            "sources.mlflow: username: is missing: username and password belong together",
        ),
        (
            "sources: {mlflow: {uri: 'sqlite:////x'}}\nweb: {host: '*'}",
            "web.host: is no address: give 0.0.0.0 for all addresses, or 127.0.0.1",
        ),
        (
            "sources: {mlflow: {uri: 'sqlite:////x'}}\nweb: {host: '127.0.0.1:9847'}",
            "web.host: is a name or an address alone: the port stands in port, and no http:// in front",
        ),
        (
            "sources: {mlflow: {uri: 'sqlite:////x'}}\nweb: {host: 'http://127.0.0.1'}",
            "address alone: the port stands in port, and no http:// in front",
        ),
        (
            "sources: {mlflow: {uri: 'sqlite:////x'}}\nweb: {basic_auth_users: {a: b}}",
            "unknown key; it belongs in the file that config_file names",
        ),
        (
            'sources: {mlflow: {uri: "sqlite:////x\\nsecret"}}',
            "mlflow.uri: holds more than one line, where the address or secret alone belongs",
        ),
        (
            "sources: {mlflow: {uri: 'sqlite:////x', timeout: -5s}}",
            "sources.mlflow.timeout: must not be negative",
        ),
        (
            "sources: {mlflow: {uri: 'sqlite:////x', timeout: 5}}",
            "sources.mlflow.timeout: is not a duration: write it as 5s, 5m, 5h or 5d",
        ),
        (
            "sources: {mlflow: {my store: {uri: 'sqlite:////x'}}}",
            "mlflow.my store: a name has at most 63 letters, digits and . _ - only, and begins with a letter or digit",
        ),
    ],
)
def test_mistakes_in_settings_of_the_exporter(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "ml-monitoring.yml"
    path.write_text(text, encoding="utf-8")
    (problem,) = read_all(path, environ={}).problems
    assert problem.endswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("business: {baseline: a/b}", "baseline: a name has at most 60 letters, digits, blanks and . _ - only"),
        ("teams: [ML Ops, platform, mlops, growth]", "teams.0: a name has small letters, digits and _ only, and"),
        ("notifications: {channels: {On Call: {kind: webhook, url: 'http://h'}}}", "Call: a name has small letters"),
        ("alerts: {MlflowRunHanging: {for: 10}}", "for: is not a duration: write it as 10s, 10m, 10h or 10d"),
        ("groups: []", "groups: unknown key: this looks like a file of rules of Prometheus"),
        ("alerts: {MlflowRunHanging: {team: ml}}", "MlflowRunHanging.team: 'ml' is not one of the teams"),
        ("keep_firing_for: -5s", "keep_firing_for: must not be negative"),
        ("alerts: {MlflowRunHanging: off}", "alerts.MlflowRunHanging: to switch an alert off write null"),
        ("alerts: {MlflowRunHanging: false}", "alerts.MlflowRunHanging: to switch an alert off write null"),
        (
            "components:\n  - #host",
            ":2: components.0: is empty, as # begins a comment: write what begins with # in quotes",
        ),
        ("alert_labels: {a-b: c}", "alert_labels.a-b: a label has letters, digits and _ only, and no digit first"),
    ],
)
def test_mistakes_in_alerting_settings(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "alerting.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        validated(ALERTS, load_layers([path]))
    (problem,) = caught.value.problems
    assert said in problem


def test_all_mistakes_of_the_exporters_file_come_in_the_order_of_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yml").write_text(
        """sources:
  variants:
    uri: ${PG_VARIANTS_URL}
    persona: #all
  queries:
    a:
      dsn: sqlite:////x
      query: SELECT 1
      min_interval: 5s
      metrics:
        a: {column: a, description: A., key_labels: [x]}
    b:
      databases: [shop]
      sql: #x
      metrics: {b: {value: #x
        }}
    c: {store: "${SHOP}", sql: SELECT 1, metrics: {c: {value: c, help: C.}}}
web:
  port: 70000
""",
        encoding="utf-8",
    )
    environ = {"PG_VARIANTS_URI": "postgresql://u:s3cret@h/d", "SHOPS": "mlflow"}
    assert read_all(Path("own.yml"), environ).problems == [
        "own.yml:3: sources.variants.uri: the variable PG_VARIANTS_URL is not set; did you mean ${PG_VARIANTS_URI}?",
        "own.yml:4: sources.variants.persona: unknown key; did you mean personas?",
        "own.yml:7: sources.queries.a.dsn: unknown key; did you mean uri?",
        "own.yml:8: sources.queries.a.query: unknown key; did you mean sql?",
        "own.yml:9: sources.queries.a.min_interval: unknown key; did you mean interval?",
        "own.yml:11: sources.queries.a.metrics.a.column: unknown key; did you mean value?",
        "own.yml:11: sources.queries.a.metrics.a.description: unknown key; did you mean help?",
        "own.yml:11: sources.queries.a.metrics.a.key_labels: unknown key; did you mean labels?",
        "own.yml:13: sources.queries.b.databases: unknown key; did you mean store?",
        "own.yml:14: sources.queries.b.sql: is empty, as # begins a comment: write what begins with # in quotes",
        "own.yml:15: sources.queries.b.metrics.b.value: is empty, as # begins a comment: write what begins with # in "
        "quotes",
        "own.yml:15: sources.queries.b.metrics.b.help: is missing",
        "own.yml:17: sources.queries.c.store: the variable SHOP is not set; did you mean ${SHOPS}?",
        "own.yml:19: web.port: must be at most 65535",
    ]


def test_all_mistakes_of_alerting_settings_come_in_the_order_of_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yml").write_text(
        """ab_test:
  significance: 99.5
  spread: 90%
slos: {availability: 99.9, latency: 100}
llm: {first_token: '95.5 %'}
alerts:
  MlflowRunHanging: {team: serch}
  MlflowFailedRunRatioHigh:
    threshold: 45 %
    confidence: 99.9
    action: page
notifications:
  actions: {pager: {url: 'http://h'}}
  channels:
    mail:
      kind: email
      to:
      from: #ml@example.org
      smarthost: smtp.example.org
      teams: [grwth]
    chat:
      kind: slack
      channel: #x
      api_url_file: /x
      teams:
        - platform
        - serch
    hook: {kind: webhook, teams: [mlopps]}
    call: {kind: pagr, teams: [platfrm]}
  mute_times:
    night: {intervals: [], severities: [info], teams: [platfrm]}
teams: [search, platform, mlops]
""",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        validated(ALERTS, load_layers([Path("own.yml")]))
    comment = "is empty, as # begins a comment: write what begins with # in quotes"
    assert list(caught.value.problems) == [
        "own.yml:2: ab_test.significance: must be below 1: write 0.995 for 99.5 %",
        "own.yml:3: ab_test.spread: is no number: write 0.9 for 90 %",
        "own.yml:4: slos.availability: must be below 1: write 0.999 for 99.9 %",
        "own.yml:4: slos.latency: must be below 1",
        "own.yml:5: llm.first_token: is no number: write 0.955 for 95.5 %",
        "own.yml:7: alerts.MlflowRunHanging.team: 'serch' is not one of the teams; did you mean search?",
        "own.yml:9: alerts.MlflowFailedRunRatioHigh.threshold: '45 %' is not a number: write 0.45 for 45 %",
        "own.yml:10: alerts.MlflowFailedRunRatioHigh.confidence: must be below 1: write 0.999 for 99.9 %",
        "own.yml:11: alerts.MlflowFailedRunRatioHigh.action: 'page' is not in notifications.actions; did you mean "
        "pager?",
        "own.yml:17: notifications.channels.mail.to: is missing",
        f"own.yml:18: notifications.channels.mail.from: {comment}",
        "own.yml:19: notifications.channels.mail.smarthost: must be host:port, such as smtp.example.org:587",
        "own.yml:20: notifications.channels.mail.teams.0: 'grwth' is not one of the teams; there are: search, "
        "platform, mlops; or add it to teams",
        f"own.yml:23: notifications.channels.chat.channel: {comment}",
        "own.yml:27: notifications.channels.chat.teams.1: 'serch' is not one of the teams; did you mean search?",
        "own.yml:28: notifications.channels.hook: give either url or url_file",
        "own.yml:28: notifications.channels.hook.teams.0: 'mlopps' is not one of the teams; did you mean mlops?",
        "own.yml:29: notifications.channels.call: kind is none of email, slack, pagerduty, msteams, webhook; did you "
        "mean pagerduty?",
        "own.yml:29: notifications.channels.call.teams.0: 'platfrm' is not one of the teams; did you mean platform?",
        "own.yml:31: notifications.mute_times.night.intervals: needs at least 1, and has 0",
        "own.yml:31: notifications.mute_times.night.teams.0: 'platfrm' is not one of the teams; did you mean platform?",
        "own.yml:32: teams: lacks 'growth', which alerts.VariantEarlyKillRateHigh.team and 14 more name",
    ]


@pytest.mark.parametrize(
    ("expr", "compares"),
    [
        ("sum(shop_orders) > 5", "> 5"),
        ("max by (stage) (shop_orders{<filter>}) <= -1.5e3", "<= -1.5e3"),
        ("shop_orders >= <ShopOrdersWaiting.threshold>", ">= <ShopOrdersWaiting.threshold>"),
        ("(shop_orders > 5)", ""),
        ("shop_orders and sum(shop_visits) > 5", ""),
        ("shop_orders > bool 5", ""),
        ("rate(shop_orders[<window>])", ""),
    ],
)
def test_an_own_alert_compares_in_one_place(
    expr: str, compares: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("alerting.yml").write_text("extensions: monitoring\n", encoding="utf-8")
    assert main(["new", "metric", "shop_orders"]) == main(["new", "alert", "ShopOrdersWaiting"]) == 0
    path = Path("monitoring/alerts/ShopOrdersWaiting.yml")
    text = re.sub("(?m)^expr: .*$", f"expr: {expr}", path.read_text(encoding="utf-8"))
    path.write_text(re.sub("(?m)^title: .*$", "title: #1 of all", text) if compares else text, encoding="utf-8")
    capsys.readouterr()
    problems: list[str] = []
    extensions.read(Path("monitoring"), problems)
    assert problems == (
        [
            f"{path}:7: expr: compares with `{compares}` at its end, which `comparison` and `threshold` are for: keep "
            "these, and take it out here, or put it in brackets where it only selects series",
            f"{path}:23: title: is empty, as # begins a comment: write what begins with # in quotes",
        ]
        if compares
        else []
    )


def _patterns(schema: Any) -> Iterator[str]:
    """Yield the regular expressions that texts are compared with."""
    if isinstance(schema, dict):
        if schema.get("type") == "str" and "pattern" in schema:
            yield schema["pattern"]
        schema = [value for key, value in schema.items() if key != "metadata"]
    for part in schema if isinstance(schema, list | tuple) else ():
        yield from _patterns(part)


def test_no_setting_is_answered_with_a_regular_expression() -> None:
    for folder in ("exporter", "alerting", "dashboards"):
        for path in (ROOT / folder).rglob("*.py"):
            if "pattern=" in path.read_text(encoding="utf-8"):
                import_module(".".join(("ml_monitoring", *path.relative_to(ROOT).with_suffix("").parts)))
    models = [BaseModel]
    for model in models:
        models += model.__subclasses__()
    ours = [model for model in models if model.__module__.startswith("ml_monitoring.")]
    patterns = {pattern for model in ours for pattern in _patterns(model.__pydantic_core_schema__)}
    assert len(patterns) > 10
    assert patterns - PATTERNS.keys() == set()


@pytest.mark.parametrize("name", ["shop orders", "1"])
def test_a_metric_cannot_have_any_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "metric", name]) == 2
    assert capsys.readouterr().err == f"error: {name}: a name has letters, digits and _ only, and no digit first\n"


def test_beside_a_file_that_cannot_be_read_nothing_is_called_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ml-monitoring.yml"
    path.write_text("web: {port: 1}", encoding="utf-16")
    assert cli.main(["check", "--config", str(path)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"FAIL  settings  {path}: cannot be read: not UTF-8; is it a text file? save it as UTF-8"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "--settings", "ok.yml"], "there is no option --settings; did you mean --config?\n"),
        (["alerts", "test", "--config", "ok.yml"], "there is no option --config; did you mean --settings?\n"),
        (["serve", "--port", "9"], "there is no option --port; did you mean --web.listen-address?\n"),
        (["serve", "--host=::1"], "there is no option --host; did you mean --web.listen-address?\n"),
        (["serve", "-p", "9"], "there is no option -p; did you mean --web.listen-address?\n"),
        (["serve", "--verbose"], "there is no option --verbose; did you mean --log.level?\n"),
        (["alerts", "log", "--port", "9"], "there is no option --port; did you mean --listen?\n"),
        (["dashboards", "render", "-o", "x"], "there is no option -o; did you mean --out?\n"),
        (["check", "-c", "ok.yml"], "there is no option -c; did you mean --config?\n"),
        (["alerts", "maintenance", "--duration=1h", "--reason= "], "argument --reason: is empty\n"),
        (
            ["alerts", "maintenance", "--duration=2h", "--reason", "new", "disks"],
            "more arguments than the command takes: 'disks' is one too many; "
            "words that belong together stand in quotes\n",
        ),
        (["kubernetes"], "give a command: chart, manifests\n"),
        (["serve", "--frobnicate"], "there is no option --frobnicate\n"),
        (["--config", "s1.yml", "serve"], "--config belongs behind the command: ml-monitoring serve --config s1.yml\n"),
        (["--config=s3cr3t", "check"], "--config belongs behind the command: ml-monitoring check --config ...\n"),
        (["--config"], "--config belongs behind the command: ml-monitoring serve --config ...\n"),
        (
            ["--web.enable-lifecycle", "serve"],
            "--web.enable-lifecycle belongs behind the command: ml-monitoring serve --web.enable-lifecycle\n",
        ),
        (
            ["--settings", "own.yml", "alerts", "test"],
            "--settings belongs behind the command: ml-monitoring alerts test --settings own.yml\n",
        ),
        (
            ["alerts", "--config", "own.yml", "test"],
            "--config belongs behind the command: ml-monitoring alerts test --settings own.yml\n",
        ),
        (["--frobnicate", "serve"], "there is no option --frobnicate\n"),
        (["generate"], "there is no 'generate'; did you mean alerts generate or dashboards generate?\n"),
        (["backtest"], "there is no 'backtest'; did you mean alerts backtest?\n"),
        (["alerts", "render"], "there is no 'render'; did you mean dashboards render?\n"),
        (["alert", "generate"], "there is no 'alert'; did you mean alerts?\n"),
        (["alerts", "route", "team=mlops"], "the following arguments are required: --label NAME=VALUE\n"),
        (["dashboards", "export"], "the following arguments are required: --output-dir DIR\n"),
        (["alerts", "backtest", "--days=x"], "--days: 'x' is no number of days, nor a duration such as 2w\n"),
        (["alerts", "backtest", "--days=0w"], "--days: must be more than 0\n"),
        (
            ["alerts", "silences", "--alertmanager", "localhost:9093"],
            "--alertmanager: has no scheme: put http:// or https:// in front\n",
        ),
    ],
)
def test_options_of_other_commands_and_programs_are_answered_with_ours(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words, prog="ml-monitoring")
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(said)


def test_a_folder_that_is_missing_is_a_mistake_of_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where it is installed.
    monkeypatch.setattr("ml_monitoring.alerting.commands.generate.CHECKOUT", None)
    assert main(["alerts", "generate"], prog="ml-monitoring") == 2
    assert capsys.readouterr().err == "error: --output-dir: give the folder to write into\n"


_FORMS = "write it as host:port, [::1]:port or :port"


@pytest.mark.parametrize("words", [["alerts", "log"], ["dashboards", "serve"]], ids=" ".join)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("127.0.0.1:99999", "ports end at 65535"),
        (":65536", "ports end at 65535"),
        ("9848", f"{_FORMS}; did you mean :9848?"),
        ("*:9848", f"{_FORMS}; did you mean :9848?"),
        ("h:²", _FORMS),
        ("http://127.0.0.1:9848", _FORMS),
    ],
)
def test_what_is_no_address_to_listen_on_is_answered_alike(
    words: list[str], given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--listen", given])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"argument --listen: not an address to listen on: {said}")


def test_a_command_in_a_folder_of_a_project_names_the_settings_above(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(options.VARIABLE, raising=False)
    monkeypatch.setattr(options, "DEFAULT_PLACES", options.DEFAULT_PLACES[:1])
    (tmp_path / "monitoring" / "alerts").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "monitoring" / "alerts")
    assert options.how_to_name() == "--settings names a file"
    (tmp_path / "ml-monitoring-alerting.yml").write_text("extensions: monitoring\n")
    assert main(["alerts", "test"]) == 1
    assert capsys.readouterr().err == (
        "error: extensions: no settings name a folder of your own alerts; "
        "did you mean --settings ../../ml-monitoring-alerting.yml?\n"
    )


def test_a_file_in_the_folder_of_another_kind_belongs_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "metric", "shop_orders"]) == 0
    assert main(["new", "alert", "ShopOrdersWaiting"]) == 0
    assert main(["new", "panel", "orders"]) == 0
    settings = tmp_path / "alerting.yml"
    settings.write_text("extensions: monitoring\n", encoding="utf-8")
    alert = tmp_path / "monitoring" / "alerts" / "ShopOrdersWaiting.yml"
    text = re.sub("(?m)^#? ?source: .*$", "", alert.read_text(encoding="utf-8"))
    alert.write_text(f"{text}\nsource: queries/shop_order\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["alerts", "generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 0
    assert "is called queries/shop_order; did you mean queries/shop_orders?" in capsys.readouterr().err
    panel = tmp_path / "monitoring" / "panels" / "orders.yml"
    panel.rename(alert.with_name("Orders.yml"))
    assert main(["alerts", "generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert "alerts/Orders.yml: this looks like one of panels: it belongs into " in error
    assert error.endswith("monitoring/panels")


def test_a_full_disk_is_said_of_what_is_printed() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ml_monitoring", "completion", "bash"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == "error: what is printed cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["alerts", "generate", "--settings", "/dev/null", "--output-dir", "full/a"], "full/a"),
        (["dashboards", "generate", "--settings", "/dev/null", "--output-dir", "full/d"], "full/d"),
        (["kubernetes", "chart", "--settings", "/dev/null", "--output-dir", "full/c"], "full/c/"),
        (["new", "alert", "Orders"], "monitoring/"),
    ],
)
def test_a_full_disk_is_said_of_the_file_that_is_written(arguments: list[str], named: str, tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("only root may mount a small disk")
    for folder in ("full", "monitoring"):
        (tmp_path / folder).mkdir()
    mount = 'mount -t tmpfs -o size=4k full full && mount -t tmpfs -o size=4k full monitoring && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-m", "ml_monitoring", *arguments],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {named}")
    assert done.stderr.endswith(": No space left on device\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["log", "--allowed-host=http://x.example"], "is not a name of a host: give it without scheme, port and path"),
        (["log", "--allowed-host=x.example:9848"], "is not a name of a host: give it without scheme, port and path"),
        (["grafana", "--output-dir=x", "--datasource="], "argument --datasource: is empty"),
        (["grafana", "--output-dir=x", "--folder= "], "argument --folder: is empty"),
    ],
)
def test_values_that_can_mean_nothing_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["alerts", *arguments])
    assert capsys.readouterr().err.endswith(f"{said}\n")


_PAGE = """\
title: Shop
question: Is the shop well?
links:
  - {title: Shop, url: 'https://example.org'}
  - {title: Orders, url: 'https://example.org/orders'}
rows:
  - title: Now
    panels:
      - {alert: HostDiskFull}
  - title: Compared
    panels:
      - {alert: HostDiskFull}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("- title: Compared", "- titel: Compared", ["10: rows.1.titel: unknown key; did you mean title?"]),
        (
            "    panels:",
            "    panel:",
            [
                "8: rows.0.panel: unknown key; did you mean panels?",
                "11: rows.1.panel: unknown key; did you mean panels?",
            ],
        ),
        ("{title: Orders", "{titel: Orders", ["5: links.1.titel: unknown key; did you mean title?"]),
    ],
)
def test_a_slip_in_any_row_of_a_page_is_named(
    right: str, wrong: str, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("monitoring/pages").mkdir(parents=True)
    Path("monitoring/pages/shop.yml").write_text(_PAGE, encoding="utf-8")
    problems: list[str] = []
    extensions.read(Path("monitoring"), problems)
    assert problems == []
    Path("monitoring/pages/shop.yml").write_text(_PAGE.replace(right, wrong), encoding="utf-8")
    extensions.read(Path("monitoring"), problems)
    assert problems == [f"monitoring/pages/shop.yml:{one}" for one in said]


def test_files_are_named_as_the_settings_were_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "alert", "ShopSlow"]) == 0
    alert = Path("monitoring", "alerts", "ShopSlow.yml")
    alert.write_text(re.sub(r"(?m)^expr: .*", 'expr: "sum("', alert.read_text(encoding="utf-8")), encoding="utf-8")
    Path("own.yml").write_text("extensions: monitoring\n", encoding="utf-8")
    capsys.readouterr()
    for folder, settings in ((".", "own.yml"), ("monitoring", "../own.yml"), (".", str(tmp_path / "own.yml"))):
        monkeypatch.chdir(tmp_path / folder)
        assert main(["alerts", "test", "--settings", settings]) == 1
        named = re.findall(r"(?m)^(?:note|error): (\S+?):\d", capsys.readouterr().err)
        shown = settings.removesuffix("own.yml")
        assert set(named) == {f"{shown}monitoring/alerts/ShopSlow.yml"}
