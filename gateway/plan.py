"""Which processes a configuration asks for on this machine: their command lines and cores."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.backend_settings import Backend, ModelServer
from gateway.children import Command
from gateway.client import reachable
from gateway.config import Config
from gateway.cores import share
from protos.errors import invalid
from protos.otlp import Collector

_LOGS_AT_ONCE = {"PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, slots=True)
class Plan:
    gateway: Command
    backends: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to compute with: cores that we may use, and GPUs as CUDA counts them."""

    cores: Sequence[int]
    gpus: Sequence[int] = ()


def this_machine() -> Machine:
    """Found without loading a framework."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    else:
        gpus = len([each for each in visible.split(",") if each.strip()])
    return Machine(sorted(os.sched_getaffinity(0)), range(gpus))


def plan(config: Config, file: Path, join_token_file: Path, machine: Machine) -> Plan:
    """The gateway's process and one for each backend of the configuration read from `file`.

    Backends that compute on the CPU divide the cores, less those that the gateway's workers need
    where there are enough. A backend on `device: all` is one for each GPU. Raises INVALID for what
    `penstock up` doesn't do.
    """
    _check_supported(config)
    serve = ("-m", "gateway", "serve", "--config", str(file), "--log-format", "text")
    gateway = Command(
        "gateway",
        (sys.executable, *serve, "--port-offset", str(config.port_offset)),
        environment=_LOGS_AT_ONCE,
    )
    named = list(zip(names(config.backends), config.backends, strict=True))
    on_cpu = [backend.threads for backend in config.backends if backend.computes]
    spare = max(0, min(config.workers, len(machine.cores) - len(on_cpu)))
    shares = iter(share(machine.cores[spare:], on_cpu))
    discovery = str(reachable(config.listener("discovery").address))
    backends = []
    for name, backend in _on_each_gpu(named, machine.gpus):
        taken = next(shares) if backend.computes else ()
        command = _backend(backend, name, discovery, join_token_file, taken)
        more = _to_collector(config.telemetry.collector)
        backends.append(replace(command, arguments=(*command.arguments, *more)))
    return Plan(gateway, tuple(backends))


def _on_each_gpu(
    named: Sequence[tuple[str, Backend]], gpus: Sequence[int]
) -> Iterator[tuple[str, Backend]]:
    for name, backend in named:
        if backend.device != "all":
            yield name, backend
            continue
        if not gpus:
            raise invalid(f'backends: "{name}" is for all GPUs, and none is visible')
        if backend.address is not None and len(gpus) > 1:
            raise invalid(f'backends: "{name}" is for all GPUs, which can\'t share one address')
        for gpu in gpus:
            yield f"{name}-{gpu}", backend.model_copy(update={"device": f"cuda:{gpu}"})


def names(backends: Sequence[Backend]) -> list[str]:
    """The backends' own names; without one, the runtime's, numbered where several share it."""
    given = {backend.name for backend in backends if backend.name}
    nameless = Counter(backend.runtime for backend in backends if not backend.name)
    used: Counter[str] = Counter()
    chosen = []
    for backend in backends:
        name = backend.name or backend.runtime
        if not backend.name and (nameless[backend.runtime] > 1 or name in given):
            used[backend.runtime] += 1
            name = f"{backend.runtime}-{used[backend.runtime]}"
        chosen.append(name)
    twice = [name for name, times in Counter(chosen).items() if times > 1]
    if twice:
        raise invalid(f'backends: two are called "{twice[0]}"; give each a name')
    return chosen


def _backend(
    backend: Backend, name: str, discovery: str, join_token_file: Path, cores: tuple[int, ...]
) -> Command:
    threads = backend.threads or len(cores) or 1
    arguments = [sys.executable, "-m", "backends", backend.runtime, "--name", name]
    arguments += ["--device", backend.device]
    arguments += ["--join", discovery, "--join-token-file", str(join_token_file)]
    if backend.address is not None:
        arguments += ["--listen", str(backend.address)]
    if backend.server is not None:
        arguments += _of_server(backend.server)
    if backend.repository is not None:
        arguments += ["--model-repository", str(backend.repository.resolve())]
        arguments += ["--threads", str(threads)]
    if backend.allow_code:
        arguments.append("--allow-code")
    if backend.memory_budget is not None:
        arguments += ["--memory-budget", f"{backend.memory_budget}B"]
    environment = {**_LOGS_AT_ONCE, "OMP_NUM_THREADS": str(threads)}
    return Command(name, tuple(arguments), cores, environment)


def _to_collector(collector: Collector | None) -> list[str]:
    if collector is None:
        return []
    arguments = ["--otlp-endpoint", collector.endpoint]
    files = {"--otlp-headers-file": collector.headers_file}
    if collector.tls is not None:
        files["--otlp-ca"] = collector.tls.ca
        files["--otlp-certificate"] = collector.tls.certificate
        files["--otlp-key"] = collector.tls.key
    for option, file in files.items():
        if file is not None:
            arguments += [option, str(file.resolve())]
    return arguments


def _of_server(server: ModelServer) -> list[str]:
    arguments = ["--url", server.url]
    for name, upstream in server.models.items():
        arguments += ["--model", f"{name}={upstream}"]
    if server.unlisted:
        arguments.append("--unlisted")
    if server.key_file is not None:
        arguments += ["--api-key-file", str(server.key_file.resolve())]
    if server.start:
        arguments += ["--start", server.start]
    if server.revision:
        arguments += ["--revision", server.revision]
    if server.send_priority:
        arguments.append("--send-priority")
    if server.salt_cache:
        arguments.append("--salt-cache")
    return arguments


def _check_supported(config: Config) -> None:
    http = config.listener("http").tls
    admin = config.listener("admin").tls
    if any(tls is not None and tls.client_ca is not None for tls in (http, admin)):
        raise invalid(
            "listeners: `penstock up` has no certificate to show to a clientCa; start the parts "
            "with `penstock gateway` and `penstock backend`"
        )
    if config.exchange.tls is not None or config.listener("discovery").tls is not None:
        raise invalid(
            "exchange.tls, listeners.discovery.tls: `penstock up` starts backends on this machine "
            "in plain text; start them with `penstock backend`"
        )
