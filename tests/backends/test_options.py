"""The options that say where a backend is reached, whatever it serves."""

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from backends.host import Place
from backends.options import place, placed
from protos.otlp import Collector
from protos.tls import ClientTls


def run(*arguments: str) -> tuple[list[tuple[Place, str]], str]:
    """What the command was given, and what the terminal says."""
    given: list[tuple[Place, str]] = []
    app = typer.Typer()

    @app.command()
    @placed
    def main(where: Place, model: Annotated[str, typer.Option()] = "none") -> None:
        given.append((where, model))

    return given, CliRunner().invoke(app, arguments).output


def test_a_placed_command_has_its_own_options_and_those_of_the_place() -> None:
    ((where, model),), _ = run("--model", "m", "--join", "a:1,b:2", "--name", "n")
    assert model == "m"
    assert where == place(join="a:1,b:2", name="n")
    assert where.join == ("a:1", "b:2")


def test_both_have_their_defaults() -> None:
    ((where, model),), _ = run()
    assert (where, model) == (place(), "none")


def test_the_place_itself_is_no_option() -> None:
    given, said = run("--where", "here")
    assert not given
    assert "No such option" in said


def test_a_place_without_a_name_is_named_after_the_kind_of_backend() -> None:
    assert place().named("llm").name.startswith("llm-")
    assert place().named("llm") != place().named("llm")
    assert place(name="mine").named("llm").name == "mine"


def test_files_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(SystemExit, match="--tls-certificate and --tls-key go together"):
        place(tls_key=Path("key.pem"))
    with pytest.raises(SystemExit, match="--join-certificate takes --join-ca too"):
        place(join_certificate=Path("certificate.pem"))


def test_a_collector_has_an_address_and_maybe_files() -> None:
    ((where, _),), _ = run("--otlp-endpoint", "https://c:4317", "--otlp-ca", "/ca")
    assert where.collector == Collector(endpoint="https://c:4317", tls=ClientTls(ca=Path("/ca")))
    assert place().collector is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("--otlp-ca", "/ca"),
        ("--otlp-endpoint", "http://c:4317", "--otlp-key", "/key"),
        ("--otlp-endpoint", "c:4317"),
        ("--otlp-endpoint", "https://c:4317", "--otlp-ca", "/ca", "--otlp-key", "/key"),
    ],
)
def test_a_collectors_options_go_together(arguments: tuple[str, ...]) -> None:
    given, failure = [], ""
    try:
        given, failure = run(*arguments)
    except SystemExit as said:
        failure = str(said)
    assert given == []
    assert failure.startswith("penstock backend: --otlp-")
