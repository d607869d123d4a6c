"""The Compose file and all that it mounts, held against schemas and against the programs that read
them; `setup` is run for real."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from chaos.mesh import LOOK, free_ports
from chaos.processes import PATIENCE
from gateway.config import load_config
from gateway.prerequisites import check_all
from gateway.routes.folder import load_folder
from policies.authenticate import Authenticator
from tests import servers
from tests.deploy.rendered import DEPLOY, unknown_options

COMPOSE = DEPLOY / "compose"
# With the default of every variable, as Compose fills them in.
TEXT = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (COMPOSE / "compose.yaml").read_text())
PROJECT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
IMAGES = json.loads((DEPLOY / "images" / "docker-bake.json").read_text())["target"]
SECRETS = "/run/secrets/penstock"
BACKENDS = ("torch", "onnx", "llm")
ONCE = ("setup", "demo")


def test_it_is_what_the_compose_specification_says() -> None:
    project = {key: value for key, value in PROJECT.items() if not key.startswith("x-")}
    PyCompose.from_json(json.dumps(project)).validate()


def test_all_that_belongs_to_it_is_there() -> None:
    others = {"balancer", "redis", "postgres", "jaeger", "prometheus", "grafana"}
    assert SERVICES.keys() == {*ONCE, "gateway", *BACKENDS, *others}
    assert SERVICES["gateway"]["deploy"]["replicas"] == 2


def test_images_are_built_as_bake_builds_them_or_are_pinned() -> None:
    for name, service in SERVICES.items():
        image, _, tag = service["image"].partition(":")
        if "build" not in service:
            assert tag.lstrip("v")[0].isdigit(), name
            continue
        target = IMAGES[image.removeprefix("penstock-")]
        assert service["build"]["target"] == target["target"], name
        assert service["build"]["args"]["EXTRAS"] == target["args"]["EXTRAS"], name


def test_files_that_are_mounted_are_there() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.rpartition(":ro")[0].rpartition(":")[0] or mount.partition(":")[0]
            if source.startswith("."):
                assert (COMPOSE / source).exists(), f"{name}: {source}"
            elif ":" in mount:
                assert source in PROJECT["volumes"], f"{name}: {source}"


def test_nothing_is_reached_from_elsewhere_and_backends_from_gateways_alone() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
    reach = {name: set(each.get("networks", ())) for name, each in SERVICES.items()}
    assert reach["balancer"] == {"front"}
    for backend in BACKENDS:
        assert reach[backend] == {"mesh"}
    assert {name for name, networks in reach.items() if "mesh" in networks} == {
        "gateway",
        "jaeger",
        *BACKENDS,
    }
    assert PROJECT["networks"]["mesh"]["internal"] is True
    assert PROJECT["networks"]["data"]["internal"] is True


def test_what_is_ours_writes_nowhere_but_to_its_volumes() -> None:
    for name in (*ONCE, "gateway", *BACKENDS):
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_backends_get_options_that_there_are_and_time_to_finish() -> None:
    for name in BACKENDS:
        service = SERVICES[name]
        command = service["entrypoint"][2]
        assert unknown_options([*service["command"], *command.split()]) == set()
        assert int(service["stop_grace_period"].removesuffix("s")) > 30


def test_every_service_waits_for_what_it_needs() -> None:
    for name, service in SERVICES.items():
        mounts = service.get("volumes", [])
        if name != "setup" and any(mount.startswith("secrets:") for mount in mounts):
            condition = service["depends_on"]["setup"]["condition"]
            assert condition == "service_completed_successfully", name
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                # The gateway's check is in its image.
                assert other == "gateway" or "healthcheck" in SERVICES[other]


def set_up(folder: Path) -> Path:
    """Runs setup.sh as the container does, in a folder here; the configuration of that place."""
    folder.mkdir(exist_ok=True)
    (folder / "routes").mkdir(exist_ok=True)
    text = (COMPOSE / "penstock.yaml").read_text()
    for there, here in (
        (SECRETS, folder / "secrets"),
        ("/etc/penstock/routes", folder / "routes"),
        ("/var/lib/penstock", folder / "state"),
    ):
        text = text.replace(there, str(here))
    file = folder / "penstock.yaml"
    file.write_text(text)
    (folder / "secrets").mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = (COMPOSE / "setup.sh").read_text().replace("-d /srv", f"-d {folder}/nowhere")
    subprocess.run(
        ["/bin/sh", "-c", script, "setup.sh", str(folder / "secrets")],
        env={**os.environ, "PATH": path, "PENSTOCK_CONFIG": str(file)},
        check=True,
        timeout=60,
    )
    return file


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    """The configuration, and the secrets after each of two starts."""
    folder = tmp_path_factory.mktemp("compose")
    found = []
    for _ in range(2):
        file = set_up(folder)
        found.append({each.name: each.read_text() for each in (folder / "secrets").iterdir()})
    return file, found


Starts = tuple[Path, list[dict[str, str]]]


def test_setup_makes_all_that_a_gateway_needs(starts: Starts) -> None:
    file, _ = starts
    check_all(load_config(file), file)


def test_secrets_are_made_once_each_its_own_and_read_by_the_group_alone(starts: Starts) -> None:
    file, (first, second) = starts
    assert len(set(first.values())) == len(first)
    assert second.keys() == first.keys()
    kept = first.keys() - {"join-token", "metrics-token"}
    assert {name: second[name] for name in kept} == {name: first[name] for name in kept}
    folder = file.parent / "secrets"
    assert all(each.stat().st_mode & 0o777 == 0o640 for each in folder.iterdir())


def test_the_tokens_that_it_makes_are_accepted(starts: Starts) -> None:
    file, (_, secrets) = starts
    verify = Authenticator(load_config(file).issuers, time.time)
    for name, scope in (("join-token", "backend:join"), ("metrics-token", "metrics")):
        assert verify(f"Bearer {secrets[name].strip()}").scopes == {scope}


def test_every_secret_that_a_service_names_is_made(starts: Starts) -> None:
    _, (made, _) = starts
    texts = [each.read_text() for each in COMPOSE.rglob("*.y*ml")]
    named = {name for text in texts for name in re.findall(rf"{SECRETS}/([a-z-]+)", text)}
    assert named <= made.keys()
    assert {"redis", "postgres", "grafana", "metrics-token", "join-token"} <= named


def test_the_routes_that_it_mounts_can_be_read() -> None:
    load_folder(DEPLOY / "demo" / "routes")


def test_the_balancer_understands_its_configuration() -> None:
    haproxy = servers.program("haproxy")
    done = subprocess.run(
        [haproxy, "-c", "-f", COMPOSE / "haproxy.cfg"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_prometheus_understands_its_configuration(starts: Starts) -> None:
    promtool = servers.program("promtool")
    text = (COMPOSE / "prometheus" / "prometheus.yml").read_text()
    text = text.replace("/etc/prometheus/alerts.yml", str(DEPLOY / "prometheus" / "alerts.yml"))
    text = text.replace(SECRETS, str(starts[0].parent / "secrets"))
    file = starts[0].parent / "prometheus.yml"
    file.write_text(text)
    done = subprocess.run(
        [promtool, "check", "config", file], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_redis_takes_its_password_and_shows_it_to_nobody(starts: Starts) -> None:
    file, (made, _) = starts
    servers.program("redis-server")
    (port,) = free_ports(1)
    folder = str(file.parent / "secrets")
    redis = SERVICES["redis"]
    start, well = (
        text.replace("$$", "$").replace(SECRETS, folder)
        for text in (redis["command"][2], redis["healthcheck"]["test"][1])
    )
    start = start.replace("redis-server - ", f"redis-server - --port {port} --bind 127.0.0.1 ")
    well = well.replace("redis-cli ", f"redis-cli -p {port} ")
    process = subprocess.Popen(["sh", "-c", start], stdout=subprocess.DEVNULL, cwd=file.parent)
    try:
        end = time.monotonic() + PATIENCE
        while subprocess.run(["sh", "-c", well], capture_output=True).returncode:
            assert time.monotonic() < end
            time.sleep(LOOK)
        assert made["redis"] not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert not re.search(r"(-a|requirepass)\s", well + start.partition("<<")[0])
        bare = ["redis-cli", "-p", str(port), "ping"]
        answer = subprocess.run(bare, capture_output=True, text=True)
        assert "NOAUTH" in answer.stdout + answer.stderr
    finally:
        process.terminate()
        process.wait(20)


def test_grafana_is_given_its_sources_and_dashboards() -> None:
    sources = yaml.safe_load((COMPOSE / "grafana" / "datasources.yaml").read_text())
    found = {each["uid"]: each["url"] for each in sources["datasources"]}
    assert found == {"prometheus": "http://prometheus:9090", "jaeger": "http://jaeger:16686"}
    providers = yaml.safe_load((COMPOSE / "grafana" / "dashboards.yaml").read_text())["providers"]
    paths = {each["options"]["path"] for each in providers}
    mounted = {mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]}
    assert paths <= mounted


def test_every_service_drops_what_it_does_not_need() -> None:
    more = {name: each["cap_add"] for name, each in SERVICES.items() if "cap_add" in each}
    own = ["CHOWN", "DAC_OVERRIDE", "FOWNER"]  # of volumes that are root's at first
    assert more == {"setup": own, "postgres": [*own, "SETGID", "SETUID"]}
    for name, each in SERVICES.items():
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
