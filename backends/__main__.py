"""`python -m backends RUNTIME …`, which `penstock backend` runs."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from backends.all_gpus import run_on_all, visible_gpus
from backends.host import Place
from backends.options import placed
from backends.process import Settings, serve
from protos.errors import PenstockError
from protos.log_writer import configure, text_formatter
from protos.quantities import size

# Read when a framework loads OpenMP: threads that spin while they wait take the cores from those
# that work, which made torch up to fifty times slower where cores are shared.
NO_SPINNING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


@placed
def main(
    where: Place,
    runtime: Annotated[
        str, typer.Argument(help="torch, onnx, python, llm, openai, or a plug-in's name.")
    ],
    model_repository: Annotated[Path, typer.Option(help="The folder of models.")],
    device: Annotated[str, typer.Option(help="cpu or cuda:N.")] = "cpu",
    all_gpus: Annotated[
        bool, typer.Option("--all-gpus", help="Runs a process for each GPU instead of --device.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: the cores we may use.")] = 0,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Lets models bring Python code that is run here.")
    ] = False,
    open_: Annotated[
        bool, typer.Option("--open", help="Serves direct OIP clients without the access key.")
    ] = False,
    memory_budget: Annotated[str, typer.Option(help="Such as 4GiB; default: the device's.")] = "",
    evict: Annotated[
        bool, typer.Option("--evict", help="Unloads idle models where another one needs the room.")
    ] = False,
) -> None:
    """Serves the models of one framework on one device to the gateways that it joins."""
    set_no_spinning()
    if all_gpus and (where.advertise or not where.listen.endswith(":0")):
        raise SystemExit(
            "penstock backend: --all-gpus gives each process a port of its own: leave out "
            "--advertise, and let --listen end in :0"
        )
    if all_gpus:
        raise SystemExit(_on_all_gpus(where.name or runtime))
    # Shorter than CPython's 5 ms: the device thread and the event loop share one interpreter.
    sys.setswitchinterval(0.0005)
    settings = Settings(
        replace(where.named(runtime), open=open_),
        runtime=runtime,
        repository=model_repository,
        device=device,
        threads=threads or len(os.sched_getaffinity(0)),
        allow_code=allow_code,
        memory_budget=size(memory_budget) if memory_budget else 0,
        evict=evict,
    )
    try:
        uvloop.run(serve(settings))
    except (PenstockError, ValueError) as error:
        raise SystemExit(f"penstock backend: {error}") from None


def set_no_spinning() -> None:
    for variable, value in NO_SPINNING.items():
        os.environ.setdefault(variable, value)


def _on_all_gpus(name: str) -> int:
    gpus = visible_gpus()
    if not gpus:
        raise SystemExit("penstock backend: --all-gpus: no NVIDIA GPU is visible")
    arguments = [each for each in sys.argv[1:] if each != "--all-gpus"]
    return run_on_all(arguments, name, gpus)


if __name__ == "__main__":
    configure(text_formatter())
    # Plain tracebacks: typer's own print local variables, and with them secrets.
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    if sys.argv[1:2] == ["openai"]:  # which has no folder of models, and other options
        from backends.openai.command import main as openai

        app.command()(openai)
        app(sys.argv[2:], prog_name="penstock backend openai")
    if sys.argv[1:2] == ["llm"]:
        set_no_spinning()
        try:
            from backends.llm.command import main as llm
        except ModuleNotFoundError as missing:
            raise SystemExit(
                f'penstock backend: llm needs {missing.name}: pip install "penstock[llm]"'
            ) from None
        app.command()(llm)
        app(sys.argv[2:], prog_name="penstock backend llm")
    app.command()(main)
    app(prog_name="penstock backend")
