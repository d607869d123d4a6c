"""Scalers are of backends that there are, and get the figure that they ask for."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import DEPLOY, ROOT, Object, objects, of_kind
from tests.deploy.test_alerts import tool

MODELS = {"emptyDir": {}}
WORKLOAD = "penstock-rules"
# Of two pods of its own, of a Deployment whose name begins alike, and of another namespace.
TOLD = (
    ("penstock", "penstock-rules-7d9f8c6b5d-abcde", 3),
    ("penstock", "penstock-rules-7d9f8c6b5d-fghij", 1),
    ("penstock", "penstock-rules-more-7d9f8c6b5d-abcde", 10),
    ("elsewhere", "penstock-rules-7d9f8c6b5d-abcde", 100),
)
GATEWAYS = ("penstock-gateway-1", "penstock-gateway-2")


def series() -> list[dict[str, str]]:
    name = "penstock_endpoint_queued_seconds"
    return [
        {
            "series": f'{name}{{namespace="{namespace}",backend="{backend}",pod="{pod}"}}',
            "values": f"{value}x5",
        }
        for namespace, backend, value in TOLD
        for pod in GATEWAYS
    ]


def rendered(kind: str) -> list[Object]:
    scaling = {"kind": kind, "min": 1, "max": 3, "queuedSeconds": "1"}
    backend = {"name": "rules", "runtime": "python", "models": MODELS, "scaling": scaling}
    return objects({"backends": [backend]})


def keda() -> str:
    (trigger,) = of_kind(rendered("keda"), "ScaledObject")[WORKLOAD]["spec"]["triggers"]
    assert trigger["type"] == "prometheus"
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    return str(trigger["metadata"]["query"])


def adapter() -> str:
    """The rule of docs/deploy.md, filled in as prometheus-adapter does it for the chart's HPA."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    (text,) = (
        each for each in re.findall(r"```yaml\n(.*?)```", page, re.S) if "seriesQuery" in each
    )
    (rule,) = yaml.safe_load(text)["rules"]["external"]
    (metric,) = of_kind(rendered("hpa"), "HorizontalPodAutoscaler")[WORKLOAD]["spec"]["metrics"]
    asked = metric["external"]["metric"]
    assert asked["name"] == rule["name"]["as"]
    labels = {**asked["selector"]["matchLabels"], "namespace": "penstock"}
    matchers = ",".join(f'{name}="{value}"' for name, value in labels.items())
    query = rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"])
    return str(query.replace("<<.LabelMatchers>>", matchers))


@pytest.mark.parametrize("query", [keda, adapter])
def test_a_scaler_gets_the_device_time_that_waits_for_its_own_pods(
    query: Any, tmp_path: Path
) -> None:
    labels = f'{{deployment="{WORKLOAD}"}}' if query is adapter else "{}"
    test = {
        "interval": "1m",
        "input_series": series(),
        "promql_expr_test": [
            {"expr": query(), "eval_time": "3m", "exp_samples": [{"labels": labels, "value": 4}]}
        ],
    }
    file = tmp_path / "scaling_test.yml"
    rules = str(DEPLOY / "prometheus" / "alerts.yml")
    file.write_text(yaml.safe_dump({"rule_files": [rules], "tests": [test]}))
    assert "SUCCESS" in tool("test", "rules", str(file))


@pytest.mark.parametrize("kind", ["keda", "hpa"])
def test_what_is_scaled_has_no_replicas_that_an_upgrade_would_set_back(kind: str) -> None:
    found = rendered(kind)
    (scaler,) = of_kind(
        found, {"keda": "ScaledObject", "hpa": "HorizontalPodAutoscaler"}[kind]
    ).values()
    workload = of_kind(found, "Deployment")[scaler["spec"]["scaleTargetRef"]["name"]]
    assert "replicas" not in workload["spec"]
