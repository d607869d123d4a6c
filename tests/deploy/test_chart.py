"""The chart, rendered by Helm's own library: what a cluster would be given, held against schemas
and against the programs that it starts."""

import re
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from backends.health import LIVENESS, STARTUP
from backends.heartbeat import RESOLVE_INTERVAL
from gateway.config import load_config
from gateway.grace import AFTER_DRAIN
from gateway.routes.folder import load_folder
from tests.deploy.rendered import DEPLOY, RENDER, Object, objects, of_kind, pod, unknown_options

CHART = DEPLOY / "helm" / "penstock"
PRODUCTION: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
# Everything that a value can turn on.
ALL: dict[str, Any] = {
    **PRODUCTION,
    "image": {"registry": "registry.example", "tag": "1.2.3", "pullSecrets": ["pull"]},
    "gateway": {
        "workers": 4,
        "tlsSecret": "penstock-tls",
        "auditClaim": "audit",
        "autoscaling": {"enabled": True},
        "service": {"type": "LoadBalancer", "annotations": {"a/b": "c"}},
        "annotations": {"d/e": "f"},
        "env": [{"name": "X", "value": "y"}],
        "nodeSelector": {"pool": "gate"},
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "high",
    },
    "backends": [
        *PRODUCTION["backends"],
        {
            "name": "rules",
            "runtime": "python",
            "models": {"emptyDir": {}},
            "args": ["--allow-code"],
            "initContainers": [{"name": "fetch", "image": "fetch:1"}],
            "scaling": {"kind": "hpa", "min": 1, "max": 3, "queuedSeconds": "1"},
            "annotations": {"g/h": "i"},
            "tolerations": [{"operator": "Exists"}],
            "priorityClassName": "low",
        },
        {
            "name": "vllm",
            "runtime": "openai",
            "args": ["--url", "http://vllm:8000/v1"],
            "secrets": ["vllm-key"],
            "egress": [{"ports": [{"port": 8000, "protocol": "TCP"}]}],
        },
    ],
    "config": {"telemetry": {"collector": {"endpoint": "http://collector.tracing:4317"}}},
    "networkPolicy": {"clients": [{"namespaceSelector": {}}]},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
}
EVERY_VALUES = {"defaults": {}, "production": PRODUCTION, "all": ALL}
OPERATORS = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}


@pytest.fixture(params=list(EVERY_VALUES))
def found(request: pytest.FixtureRequest) -> list[Object]:
    return objects(EVERY_VALUES[request.param])


@pytest.fixture(scope="module")
def production() -> list[Object]:
    return objects(PRODUCTION)


def test_helm_has_nothing_to_say_against_the_chart() -> None:
    report = helm.lint(CHART, PRODUCTION, strict=True)
    assert report["errors"] == []
    assert [each for each in report["messages"] if each["severity"] > 1] == []


@pytest.mark.parametrize(
    ("values", "version"),
    [({}, "1.37"), (ALL, "1.30"), (ALL, "1.37")],
    ids=["defaults", "the oldest Kubernetes", "the newest"],
)
def test_every_object_is_one_of_kubernetes(values: dict[str, Any], version: str) -> None:
    for each in objects(values):
        if each["kind"] not in OPERATORS:
            kubernetes_validate.validate(each, version, strict=True)


def test_objects_of_operators_have_what_these_require(production: list[Object]) -> None:
    monitor = of_kind(production, "ServiceMonitor")["penstock"]
    services = of_kind(production, "Service").values()
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (admin,) = [each for each in services if wanted <= each["metadata"]["labels"].items()]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in admin["spec"]["ports"]]
    assert "honorLabels" not in endpoint
    job = admin["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    asked = re.findall(r'job="(.*?)"', (DEPLOY / "prometheus" / "alerts.yml").read_text())
    assert set(asked) == {job}

    rules = of_kind(production, "PrometheusRule")["penstock"]["spec"]
    shipped = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    assert rules == yaml.safe_load(shipped)


def test_the_manifests_that_are_shipped_are_what_the_chart_makes() -> None:
    shipped = {
        path.name: path.read_text() for path in (DEPLOY / "kubernetes" / "manifests").iterdir()
    }
    assert shipped == dict(RENDER["manifests"](PRODUCTION)), "python deploy/kubernetes/render.py"


def test_a_gateway_starts_with_the_configuration_and_the_routes(
    found: list[Object], tmp_path: Path
) -> None:
    maps = of_kind(found, "ConfigMap")
    file = tmp_path / "penstock.yaml"
    file.write_text(maps["penstock-gateway"]["data"]["penstock.yaml"])
    config = load_config(file)
    assert str(config.routes) == "/etc/penstock/routes"
    assert config.listeners.http.address.port == 8000
    routes = tmp_path / "routes"
    routes.mkdir()
    for name, text in maps["penstock-routes"].get("data", {}).items():
        (routes / name).write_text(text)
    load_folder(routes)


def test_a_gateway_sees_every_file_that_its_configuration_names(found: list[Object]) -> None:
    spec = pod(of_kind(found, "Deployment")["penstock-gateway"])
    text = of_kind(found, "ConfigMap")["penstock-gateway"]["data"]["penstock.yaml"]
    mounted = [each["mountPath"] for each in spec["containers"][0]["volumeMounts"]]
    for path in _paths(yaml.safe_load(text)):
        assert any(Path(path).is_relative_to(each) for each in mounted), path


def _paths(value: object) -> list[str]:
    if isinstance(value, dict):
        return [path for each in value.values() for path in _paths(each)]
    return [value] if isinstance(value, str) and value.startswith("/") else []


def test_backends_get_options_that_there_are() -> None:
    for name, workload in of_kind(objects(ALL), "Deployment").items():
        program, *arguments = pod(workload)["containers"][0]["args"]
        if name == "penstock-gateway":
            assert [program, *arguments] == ["gateway"]
            continue
        assert program == "backend"
        assert unknown_options(arguments) == set(), name


def test_pods_end_after_what_they_promise_to_finish(found: list[Object]) -> None:
    for name, workload in of_kind(found, "Deployment").items():
        spec = pod(workload)
        (container,) = spec["containers"]
        grace = spec["terminationGracePeriodSeconds"]
        if name == "penstock-gateway":
            text = of_kind(found, "ConfigMap")[name]["data"]["penstock.yaml"]
            drain = float(yaml.safe_load(text)["limits"]["drainTimeout"].removesuffix("s"))
            before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert grace >= before + drain + AFTER_DRAIN
        else:
            (drain,) = [a for a in container["args"] if a.startswith("--drain-timeout=")]
            assert grace > float(drain.partition("=")[2]) + 1.0


def test_no_pod_has_more_rights_than_it_needs(found: list[Object]) -> None:
    for workload in of_kind(found, "Deployment").values():
        spec = pod(workload)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert not any("secretKeyRef" in str(each) for each in container["env"])


def test_probes_ask_what_answers_them(found: list[Object]) -> None:
    for name, workload in of_kind(found, "Deployment").items():
        (container,) = pod(workload)["containers"]
        probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
        if name == "penstock-gateway":
            assert [each["httpGet"]["path"] for each in probes] == [
                "/v2/health/live",
                "/v2/health/ready",
                "/v2/health/live",
            ]
            assert probes[1]["initialDelaySeconds"] > RESOLVE_INTERVAL
        else:
            # What each means is said in tests/backends/test_health.py.
            asked = [each["grpc"].get("service", "") for each in probes]
            assert asked == [STARTUP, "", LIVENESS]
            (port,) = container["ports"]
            assert all(each["grpc"]["port"] == port["containerPort"] for each in probes)


def test_only_gateways_reach_backends_and_only_backends_join(production: list[Object]) -> None:
    policies = of_kind(production, "NetworkPolicy")
    deny = policies["penstock-deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    every = of_kind(production, "Deployment").values()
    assert all(
        deny["podSelector"]["matchLabels"].items()
        <= each["spec"]["template"]["metadata"]["labels"].items()
        for each in every
    )

    (to_backends,) = policies["penstock-backends"]["spec"]["ingress"]
    assert _components(to_backends["from"]) == ["gateway"]
    _, joining, admin = policies["penstock-gateway"]["spec"]["ingress"]
    assert joining["ports"] == [{"port": "discovery", "protocol": "TCP"}]
    assert _components(joining["from"]) == ["backend"]
    assert admin["from"]


def _components(peers: list[Object]) -> list[str]:
    labels = [peer["podSelector"]["matchLabels"] for peer in peers]
    return [each["app.kubernetes.io/component"] for each in labels]


def test_budgets_are_of_pods_that_there_are(found: list[Object]) -> None:
    workloads = of_kind(found, "Deployment")
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in workloads.values()]
    for budget in of_kind(found, "PodDisruptionBudget").values():
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        assert sum(wanted <= each.items() for each in labels) == 1


def test_a_gpu_is_asked_for_tolerated_and_used() -> None:
    spec = pod(of_kind(objects(ALL), "Deployment")["penstock-llm"])
    (container,) = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["image"].endswith("penstock-llm-cuda:1.2.3")
    assert "--device=cuda:0" in container["args"]
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
