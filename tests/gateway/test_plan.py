"""The processes that a configuration asks for."""

from pathlib import Path

import pytest

from gateway.config import Config
from gateway.plan import Machine, names, plan
from protos.errors import PenstockError
from protos.strict_yaml import ConfigError, load

HEAD = "apiVersion: penstock/v1\nkind: Penstock\n"
FILE = Path("penstock.yaml")
JOIN_TOKEN = Path("state/join-token")


def config(text: str = "") -> Config:
    return load(HEAD + text, "penstock.yaml", Config)


def backends(*entries: str) -> str:
    return "backends:\n" + "".join(f"  - {{{entry}, repository: models}}\n" for entry in entries)


def test_the_gateway_is_told_its_file_and_offset():
    command = plan(config("portOffset: 100\n"), FILE, JOIN_TOKEN, Machine([0])).gateway
    assert command.arguments[1:] == (
        *("-m", "gateway", "serve", "--config", "penstock.yaml", "--log-format", "text"),
        *("--port-offset", "100"),
    )


def test_a_backend_is_told_all_that_the_configuration_says():
    entry = "name: safe, runtime: python, threads: 2, allowCode: true, memoryBudget: 1MiB"
    text = "portOffset: 7\n" + backends(f"{entry}, address: 127.0.0.1:9000")
    [command] = plan(config(text), FILE, JOIN_TOKEN, Machine([0, 1])).backends
    assert command.name == "safe"
    assert command.arguments[1:] == (
        *("-m", "backends", "python", "--name", "safe", "--device", "cpu"),
        *("--join", "127.0.0.1:8010", "--join-token-file", "state/join-token"),
        *("--listen", "127.0.0.1:9000"),
        *("--model-repository", str(Path("models").resolve()), "--threads", "2"),
        *("--allow-code", "--memory-budget", "1048576B"),
    )


def test_a_server_of_openais_api_is_joined_as_the_configuration_says():
    server = "url: http://127.0.0.1:8080/v1, models: {chat: org/m}, unlisted: true, keyFile: key"
    server += ", start: serve m, revision: a, sendPriority: true, saltCache: true"
    text = f"backends: [{{runtime: openai, server: {{{server}}}}}]\n"
    [command] = plan(config(text), FILE, JOIN_TOKEN, Machine([0, 1])).backends
    assert command.arguments[command.arguments.index("--url") :] == (
        *("--url", "http://127.0.0.1:8080/v1", "--model", "chat=org/m", "--unlisted"),
        *("--api-key-file", str(Path("key").resolve()), "--start", "serve m", "--revision", "a"),
        *("--send-priority", "--salt-cache"),
    )
    assert command.cores == (1,)


def test_who_only_passes_work_on_takes_no_cores():
    text = "backends: [{runtime: openai, server: {url: 'http://host/v1'}}]\n"
    [command] = plan(config(text), FILE, JOIN_TOKEN, Machine([0, 1])).backends
    assert command.cores == ()


@pytest.mark.parametrize(
    "text",
    [
        "backends: [{runtime: openai, server: {url: 'http://user:hunter2@host/v1'}}]\n",
        "telemetry: {collector: {endpoint: 'http://user:hunter2@host:4317'}}\n",
    ],
)
def test_a_password_is_refused_where_command_lines_would_show_it(text: str) -> None:
    with pytest.raises(ConfigError, match="holds a user or password") as caught:
        config(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        "runtime: openai, repository: models",
        "runtime: onnx, server: {url: 'http://host/v1'}",
        "runtime: onnx",
        "runtime: openai",
        "runtime: openai, server: {url: 'http://host/v1'}, repository: models",
    ],
)
def test_a_runtime_takes_a_server_or_a_repository(entry: str):
    with pytest.raises(ConfigError, match=r"takes a (server|repository)"):
        config(f"backends: [{{{entry}}}]\n")


def test_backends_on_the_cpu_take_cores_of_their_own_and_do_not_spin():
    text = backends("runtime: torch", "runtime: onnx", "runtime: torch, device: 'cuda:0'")
    torch, onnx, cuda = plan(config(text), FILE, JOIN_TOKEN, Machine([0, 1, 2, 3, 4])).backends
    assert (torch.cores, onnx.cores, cuda.cores) == ((1, 2), (3, 4), ())
    assert torch.environment["OMP_NUM_THREADS"] == "2"


def test_on_two_cores_two_backends_have_one_each_and_the_gateway_goes_between():
    text = backends("runtime: torch", "runtime: onnx")
    assert [
        each.cores for each in plan(config(text), FILE, JOIN_TOKEN, Machine([0, 1])).backends
    ] == [
        (0,),
        (1,),
    ]


def test_a_gateway_on_all_interfaces_is_joined_on_this_machine():
    text = "listeners: {discovery: {address: 0.0.0.0:8003}}\n" + backends("runtime: onnx")
    [command] = plan(config(text), FILE, JOIN_TOKEN, Machine([0])).backends
    assert command.arguments[command.arguments.index("--join") + 1] == "127.0.0.1:8003"


def test_backends_are_named_after_their_runtime_and_numbered_where_they_must_be():
    text = backends("runtime: torch", "runtime: onnx", "name: b, runtime: onnx", "runtime: torch")
    assert names(config(text).backends) == ["torch-1", "onnx", "b", "torch-2"]


def test_a_backend_on_all_gpus_is_one_for_each():
    text = backends("name: big, runtime: torch, device: all")
    planned = plan(config(text), FILE, JOIN_TOKEN, Machine([0, 1], [0, 1])).backends
    assert [each.name for each in planned] == ["big-0", "big-1"]
    assert ["cuda:0" in each.arguments for each in planned] == [True, False]


def test_all_gpus_of_a_machine_without_any_is_refused():
    text = backends("runtime: torch, device: all")
    with pytest.raises(PenstockError, match='"torch" is for all GPUs, and none is visible'):
        plan(config(text), FILE, JOIN_TOKEN, Machine([0]))


def test_two_backends_of_one_name_are_refused():
    text = backends("name: torch-1, runtime: onnx", "runtime: torch", "runtime: torch")
    with pytest.raises(PenstockError, match='backends: two are called "torch-1"'):
        names(config(text).backends)


@pytest.mark.parametrize(
    "text",
    [
        "listeners: {http: {address: 127.0.0.1:8000, tls: "
        "{certificate: a, key: b, clientCa: c}}}\n",
        "listeners: {discovery: {address: 127.0.0.1:8003, tls: {certificate: a, key: b}}}\n",
        "exchange: {tls: {ca: a}}\n",
    ],
)
def test_what_up_cannot_do_is_refused_before_anything_starts(text: str):
    with pytest.raises(PenstockError, match="penstock up"):
        plan(config(text), FILE, JOIN_TOKEN, Machine([0]))


def test_backends_send_their_spans_where_the_gateway_does():
    told = "tls: {ca: /ca.pem}, headersFile: /headers"
    text = f"telemetry: {{collector: {{endpoint: 'https://jaeger:4317', {told}}}}}\n"
    asked = config(text + backends("runtime: onnx"))
    [command] = plan(asked, FILE, JOIN_TOKEN, Machine([0, 1])).backends
    told_so = command.arguments[command.arguments.index("--otlp-endpoint") :]
    assert told_so == (
        *("--otlp-endpoint", "https://jaeger:4317"),
        *("--otlp-headers-file", "/headers"),
        *("--otlp-ca", "/ca.pem"),
    )
