"""What single values of the chart do, and which are refused."""

from typing import Any

import helm_python as helm
import pytest
import yaml

from tests.deploy.rendered import Object, objects, of_kind, pod, unknown_options

PLAIN: dict[str, Any] = {"name": "rules", "runtime": "python", "models": {"emptyDir": {}}}


def collector(**more: Any) -> dict[str, Any]:
    return {"telemetry": {"collector": {"endpoint": "https://collector.tracing:14317", **more}}}


def arguments(**backend: Any) -> list[str]:
    found = of_kind(objects({"backends": [{**PLAIN, **backend}]}), "Deployment")["penstock-rules"]
    return list(pod(found)["containers"][0]["args"])


def test_with_a_certificate_every_listener_speaks_tls_and_all_who_ask_know_it() -> None:
    found = objects({"gateway": {"tlsSecret": "cert"}, "monitoring": {"enabled": True}})
    config = of_kind(found, "ConfigMap")["penstock-gateway"]["data"]["penstock.yaml"]
    assert all("tls" in each for each in yaml.safe_load(config)["listeners"].values())
    ports = of_kind(found, "Service")["penstock"]["spec"]["ports"]
    assert {each["appProtocol"] for each in ports} == {"https"}
    (scraped,) = of_kind(found, "ServiceMonitor")["penstock"]["spec"]["endpoints"]
    assert scraped["scheme"] == "https"
    assert scraped["tlsConfig"] == {
        "ca": {"secret": {"name": "cert", "key": "ca.crt"}},
        "serverName": "penstock.penstock.svc",
    }


def test_without_one_the_services_say_that_nothing_is_encrypted() -> None:
    ports = of_kind(objects({}), "Service")["penstock"]["spec"]["ports"]
    assert [each["appProtocol"] for each in ports] == ["http", "kubernetes.io/h2c"]


def test_backends_reach_the_collector_as_gateways_do_and_get_no_other_keys_with_it() -> None:
    folder = "/etc/penstock/secrets/tracing"
    config = collector(headersFile=f"{folder}/token", tls={"ca": f"{folder}/ca.crt"})
    found = objects({"config": config, "backends": [PLAIN]})
    spec = pod(of_kind(found, "Deployment")["penstock-rules"])
    (container,) = spec["containers"]
    assert "--otlp-ca=/etc/penstock/collector/ca" in container["args"]
    assert "--otlp-headers-file=/etc/penstock/collector/headers-file" in container["args"]
    assert unknown_options(container["args"][1:]) == set()
    (volume,) = (each["projected"] for each in spec["volumes"] if each["name"] == "collector")
    assert [(s["secret"]["name"], s["secret"]["items"]) for s in volume["sources"]] == [
        ("tracing", [{"key": "ca.crt", "path": "ca"}]),
        ("tracing", [{"key": "token", "path": "headers-file"}]),
    ]
    for policy in ("penstock-gateway", "penstock-backends"):
        assert 14317 in _ports(of_kind(found, "NetworkPolicy")[policy])


def _ports(policy: Object) -> list[int | str]:
    return [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]


@pytest.mark.parametrize(
    ("backend", "threads"),
    [
        ({"threads": 3, "resources": {"limits": {"cpu": 8}}}, 3),
        ({"resources": {"requests": {"cpu": "1500m"}}}, 2),
        ({"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "4"}}}, 4),
        ({"gpu": {"count": 1}, "resources": {"requests": {"cpu": 4}}}, 1),
        ({}, 1),
    ],
    ids=["said", "asked for", "allowed", "beside a GPU", "nothing said"],
)
def test_a_backend_computes_with_the_cpus_that_are_its_own(
    backend: dict[str, Any], threads: int
) -> None:
    assert f"--threads={threads}" in arguments(**backend)


def test_a_backends_own_egress_replaces_no_other_policy() -> None:
    egress = [{"ports": [{"port": 443, "protocol": "TCP"}]}]
    backends = [{**PLAIN, "name": name, "egress": egress} for name in ("deny", "backends")]
    names = [
        o["metadata"]["name"] for o in objects({"backends": backends}) if "Policy" in o["kind"]
    ]
    assert len(names) == len(set(names)) == 5


def test_a_hook_that_would_wait_for_nothing_is_left_out() -> None:
    found = of_kind(objects({"gateway": {"preStopSeconds": 0}}), "Deployment")["penstock-gateway"]
    assert "lifecycle" not in pod(found)["containers"][0]


def test_alerts_lead_to_where_the_runbooks_are() -> None:
    monitoring = {"enabled": True, "runbooks": "https://wiki.example/penstock"}
    rules = of_kind(objects({"monitoring": monitoring}), "PrometheusRule")["penstock"]
    assert "https://wiki.example/penstock#penstockgatewaydown" in str(rules)
    assert "docs/runbooks.md" not in str(rules)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"gatway": {}}, "gatway"),
        ({"gateway": {"replicas": 0}}, "replicas"),
        ({"backends": [{**PLAIN, "runtime": "tensorflow"}]}, "runtime"),
        ({"backends": [{"name": "a", "runtime": "torch"}]}, "models"),
        ({"config": {"listeners": {}}}, "listeners"),
        ({"routes": {"digits.json": {}}}, "routes"),
        ({"config": {"limits": {"drainTimeout": "5m"}}}, "gateway.drainSeconds"),
        ({"config": {"discovery": {"allowedNetworks": []}}}, "podNetworks"),
        ({"config": {"audit": {"folder": "/log"}}}, "gateway.auditClaim"),
        ({"backends": [{**PLAIN, "name": "a"}, {**PLAIN, "name": "a"}]}, "two are called a"),
        ({"backends": [{"name": "a", "runtime": "openai", "gpu": {"count": 1}}]}, "a joins"),
        ({"config": collector(headersFile="/elsewhere/headers")}, "/elsewhere/headers is no"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_say_nothing_to_the_chart_are_refused(
    values: dict[str, Any], named: str
) -> None:
    with pytest.raises(helm.HelmError, match=named):
        objects(values)
