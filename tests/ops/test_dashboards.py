"""Dashboards: sound as JSON, made of declared metrics, and every panel shows something on a cluster at work."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ops.live_cluster import Cluster, Prometheus
from tests.ops.test_rules import known_names, metric_names

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("live-cluster")]

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PATIENCE_SECONDS = 90.0


def queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and expression of every query of a dashboard."""
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]


def as_prometheus_sees_it(expression: str) -> str:
    """The expression with Grafana's variables filled in."""
    return expression.replace("$__rate_interval", "15s").replace("$job_name", ".*")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_can_be_provisioned(name: str) -> None:
    board = DASHBOARDS[name]
    assert board["uid"] == f"graphbed-{name}"
    assert {variable["name"] for variable in board["templating"]["list"]} >= {"datasource"}
    places = set()
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & places, panel["title"]
        places |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_metric_of_a_panel_is_declared(name: str) -> None:
    for title, expression in queries(DASHBOARDS[name]):
        assert metric_names(expression) <= known_names(), title


def test_every_panel_shows_something(watched: tuple[Cluster, Prometheus]) -> None:
    _, prometheus = watched
    missing = {(name, *query) for name, board in DASHBOARDS.items() for query in queries(board)}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing and time.monotonic() < deadline:
        missing = {query for query in missing if not prometheus.query(as_prometheus_sees_it(query[2]))}
        time.sleep(1.0)
    assert not missing, sorted(missing)


def test_a_cluster_at_work_shows_progress_and_disturbs_nobody(watched: tuple[Cluster, Prometheus]) -> None:
    _, prometheus = watched

    def value(expression: str) -> float:
        found = prometheus.query(expression)
        return float(found[0]["value"][1]) if found else 0.0

    deadline = time.monotonic() + PATIENCE_SECONDS
    while not value("max(graphbed_lockserver_progress_ratio) > 0") and time.monotonic() < deadline:
        time.sleep(1.0)
    assert 0 < value("max(graphbed_lockserver_progress_ratio)") < 1
    assert value("sum(graphbed_trainer_edges_total)") > 0
    assert value("count(graphbed_build_info)") == 5
    firing = {alert["labels"]["alertname"] for alert in prometheus.alerts() if alert["state"] == "firing"}
    assert firing == {"GraphbedWatchdog"}
