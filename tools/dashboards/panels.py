"""Panels: what a dashboard is made of, in Grafana's classic JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 24
"""Columns of a dashboard."""
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture: a title, a unit of Grafana, and its queries by legend."""

    title: str
    queries: Mapping[str, str]
    """Legend (`{{label}}` stands for a label's value) → PromQL."""
    unit: str = "short"
    kind: str = "timeseries"
    """timeseries, stat or table."""
    width: int = 8
    height: int = 8
    description: str = ""
    stacked: bool = False
    largest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Panels from left to right, row after row."""

    uid: str
    title: str
    panels: Sequence[Panel]
    by_job: bool = False
    """Whether it has a variable `job_name`."""


def stat(title: str, unit: str, query: str, *, legend: str = "{{job_name}}", width: int = 4) -> Panel:
    """One number, for each series that the query gives."""
    return Panel(title=title, queries={legend: query}, unit=unit, kind="stat", width=width, height=4)


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it from a file."""
    panels = []
    x = y = row_height = 0
    for number, panel in enumerate(dashboard.panels, start=1):
        if x + panel.width > WIDTH:
            x, y, row_height = 0, y + row_height, 0
        place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        panels.append(_panel(number, panel, place))
        x, row_height = x + panel.width, max(row_height, panel.height)
    variables = [_DATASOURCE_VARIABLE, *([_JOB_VARIABLE] if dashboard.by_job else [])]
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["graphbed"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {"title": "Graphbed", "type": "dashboards", "tags": ["graphbed"], "asDropdown": True, "keepTime": True}
        ],
        "templating": {"list": variables},
        "panels": panels,
    }


def _panel(number: int, panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.largest is not None:
        defaults["max"] = panel.largest
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "fillOpacity": 20 if panel.stacked else 5,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "showPoints": "never",
        }
    targets = [
        {
            "refId": chr(ord("A") + place_of),
            "expr": query,
            "legendFormat": legend,
            "datasource": DATASOURCE,
            **({"instant": True, "format": "table"} if panel.kind == "table" else {}),
        }
        for place_of, (legend, query) in enumerate(panel.queries.items())
    ]
    options: dict[str, Any] = {}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "textMode": "auto"}
    if panel.kind == "timeseries":
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": targets,
    }


_DATASOURCE_VARIABLE = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
_JOB_VARIABLE = {
    "name": "job_name",
    "label": "Job",
    "type": "query",
    "datasource": DATASOURCE,
    "query": {"query": "label_values(graphbed_lockserver_epoch, job_name)", "refId": "jobs"},
    "refresh": 2,
    "includeAll": True,
    "multi": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
}
