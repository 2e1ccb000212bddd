"""Recording and alert rules: sound, each alert fires when it should and only then, and is in the runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ops.alert_cases import CASES, AlertCase, Series
from tests.ops.prometheus_tools import program
from tests.ops.record_cases import RECORD_CASES, RecordCase
from tools.metrics_docs import all_declared

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules of a kind: alert or record."""
    documents = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"] if kind in rule]


ALERTS = {rule["alert"]: rule for rule in rules("alert")}


def metric_names(expression: str) -> set[str]:
    """The metrics that a PromQL expression names: ours, those of gRPC, and recorded ones."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:\w+:)?(?:graphbed|grpc_server|grpc_client)_\w+(?::\w+)?", bare))


def known_names() -> set[str]:
    """Every name that can be asked for: declared metrics with the suffixes of histograms, and recorded ones."""
    declared = {metric.name for metric in all_declared()}
    histograms = {metric.name for metric in all_declared() if metric.kind == "histogram"}
    suffixed = {name + suffix for name in histograms for suffix in ("_bucket", "_sum", "_count")}
    return (declared - histograms) | suffixed | {rule["record"] for rule in rules("record")}


def test_prometheus_takes_the_rules_and_its_configuration() -> None:
    paths = [str(path) for path in sorted(RULES.glob("*.yml"))]
    for arguments in (["rules", *paths], ["config", str(RULES.parent / "prometheus.yml")]):
        done = subprocess.run([program("promtool"), "check", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", [*rules("alert"), *rules("record")], ids=lambda rule: rule.get("alert", "record"))
def test_every_metric_of_a_rule_is_declared(rule: dict[str, Any]) -> None:
    named = metric_names(rule["expr"])
    assert named or rule.get("alert") in ("GraphbedWatchdog", "GraphbedTargetDown")
    assert named <= known_names()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_grave_it_is_and_has_an_entry_in_the_runbook(name: str) -> None:
    rule = ALERTS[name]
    assert rule["for"]
    assert rule["labels"]["severity"] in ("none", "warning", "critical")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    assert f"\n## {name}\n" in RUNBOOK


def test_the_runbook_has_no_entry_without_an_alert() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == set(ALERTS)


def test_every_alert_is_tested() -> None:
    assert {case.alert for case in CASES} | {"GraphbedWatchdog"} == set(ALERTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_when_it_should_and_only_then(case: AlertCase, tmp_path: Path) -> None:
    rule = ALERTS[case.alert]
    expected = [
        {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": rule["annotations"]} for labels in case.labels
    ]
    moments: list[tuple[str, list[Any]]] = [(case.at, expected)]
    if case.not_yet is not None:
        moments.insert(0, (case.not_yet, []))
    _require_to_hold(
        [
            {**_world(case.fires), "alert_rule_test": _alerts(case.alert, moments)},
            {**_world(case.quiet), "alert_rule_test": _alerts(case.alert, [(case.at, [])])},
        ],
        tmp_path,
    )


def test_the_watchdog_always_fires() -> None:
    assert ALERTS["GraphbedWatchdog"]["expr"] == "vector(1)"


def test_every_recording_rule_is_tested() -> None:
    assert {case.record for case in RECORD_CASES} == {rule["record"] for rule in rules("record")}


@pytest.mark.parametrize("case", RECORD_CASES, ids=lambda case: case.record)
def test_a_rule_records_what_its_series_come_to(case: RecordCase, tmp_path: Path) -> None:
    samples = [{"labels": case.record + labels, "value": value} for labels, value in case.samples.items()]
    asked = {"expr": case.record, "eval_time": "30m", "exp_samples": samples}
    _require_to_hold([{**_world(case.series), "promql_expr_test": [asked]}], tmp_path)


def _world(series: Series) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
    }


def _alerts(alert: str, moments: list[tuple[str, list[Any]]]) -> list[dict[str, Any]]:
    return [{"eval_time": moment, "alertname": alert, "exp_alerts": expected} for moment, expected in moments]


def _require_to_hold(tests: list[dict[str, Any]], folder: Path) -> None:
    """Have promtool run the tests on all rules."""
    document = {
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yml"))],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
