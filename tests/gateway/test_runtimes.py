"""The gateway knows the runtimes' names without the frameworks behind them."""

import importlib.util
import subprocess
import sys

import pytest

from backends.runtimes import names
from gateway import runtimes
from gateway.runtimes import known, unknown


def test_all_that_backends_know_are_known_and_those_with_their_own_commands():
    assert set(known()) == {*names(), "llm", "openai"}


def test_an_unknown_one_is_answered_with_the_nearest_and_with_all():
    assert unknown("onnx") == unknown("llm") == ""
    sentence = unknown("onxx")
    assert sentence.startswith('no runtime "onxx" among llm, onnx, openai, ')
    assert sentence.endswith('; did you mean "onnx"?')


def test_finding_them_imports_no_backend():
    program = "import sys, gateway.runtimes as r; r.known(); print('backends' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def test_a_gateway_without_backends_beside_it_calls_nothing_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert runtimes.known() == ()
    assert unknown("whatever") == ""
