"""What dashboards are made of, as Grafana's JSON (schema 39, Grafana 10 and later)."""

from dataclasses import dataclass
from typing import Any

COLUMNS = 24
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and what its series are called: `{{label}}` stands for a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` is one of Grafana's; `help` says what to make of it; `thresholds` turn it red."""

    title: str
    queries: tuple[Query, ...]
    unit: str
    help: str
    kind: str = "timeseries"
    width: int = 8
    red: float | None = None
    stacked: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """Chosen at the top: the values of a label of a metric."""

    name: str
    metric: str
    label: str
    several: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    def json(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["penstock"],
            "schemaVersion": 39,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": {"from": "now-30m", "to": "now"},
            "templating": {"list": [_source(), *(_variable(each) for each in self.variables)]},
            "links": [
                {
                    "type": "dashboards",
                    "tags": ["penstock"],
                    "title": "Penstock",
                    "asDropdown": True,
                    "keepTime": True,
                }
            ],
            "panels": _placed(self.rows),
        }


def _placed(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Panels from left to right, below the title of their row."""
    placed: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        placed.append(
            {"id": len(placed) + 1, "type": "row", "title": row.title, "gridPos": place}
            | {"collapsed": False, "panels": []}
        )
        x, y = 0, y + 1
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + HEIGHT
            place = {"h": HEIGHT, "w": panel.width, "x": x, "y": y}
            placed.append({"id": len(placed) + 1, "gridPos": place} | _panel(panel))
            x += panel.width
        y += HEIGHT
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red is not None:
        steps.append({"color": "red", "value": panel.red})
    custom: dict[str, Any] = {}
    if panel.kind == "timeseries":
        custom = {"fillOpacity": 10, "showPoints": "never", "lineWidth": 1}
        custom["stacking"] = {"mode": "normal" if panel.stacked else "none"}
        if panel.red is not None:
            custom["thresholdsStyle"] = {"mode": "line"}
    found: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": custom,
            },
            "overrides": [],
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "exemplar": panel.exemplars,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
    if panel.kind == "stat":
        found["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    return found


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({variable.metric}, {variable.label})",
        "definition": f"label_values({variable.metric}, {variable.label})",
        "refresh": 2,
        "sort": 1,
        "multi": variable.several,
        "includeAll": variable.several,
        "allValue": ".*" if variable.several else None,
    }
