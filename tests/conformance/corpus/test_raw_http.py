"""Bad input on raw sockets: whole, byte by byte and behind a good request, each gets its answer."""

import asyncio
from collections.abc import Sequence
from typing import get_args

import pytest

from chaos.mesh import Mesh
from tests.conformance.corpus import admin_cases, body_cases, framing_cases, head_cases, json_cases
from tests.conformance.corpus.wire import Case, Heard, How, tell
from tests.gateway.http.raw_http import Answer

AT_ONCE = 32  # connections
# Statuses that may come before the body's end, and then close the connection. Byte by byte, others
# do as well.
EARLY = (401, 413, 415)
EVERYWHERE = framing_cases.REFUSED + head_cases.TARGETS_REFUSED
CORPUS = {
    "framing": framing_cases.REFUSED + framing_cases.CHUNKS,
    "trailers": framing_cases.TRAILERS,
    "what is right": framing_cases.ACCEPTED,
    "heads": head_cases.TOO_LARGE + head_cases.TARGETS_REFUSED + head_cases.TARGETS,
    "methods": head_cases.METHODS,
    "fields": head_cases.FIELDS,
    "bodies": body_cases.PACKED + body_cases.TYPED + body_cases.TOO_LARGE,
    "tensors": body_cases.BINARY,
    "JSON": json_cases.TEXTS + json_cases.VALUES,
    "OpenAI": json_cases.OPENAI,
}
ADMINISTRATION = {
    "framing": EVERYWHERE,
    "heads": tuple(case for case in head_cases.TOO_LARGE if case.closes),
    "questions": admin_cases.ADMIN_FACE,
}


async def _tell_all(port: int, cases: Sequence[Case], how: How) -> list[Heard]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> Heard:
        async with room:
            return await tell(port, case, how)

    return list(await asyncio.gather(*map(one, cases)))


def _wrong(case: Case, heard: Heard, how: How) -> str:
    """What is wrong with the answer; nothing where it is right."""
    statuses = (*case.before, case.status)
    if how == "behind a good request":
        statuses = (200, *statuses)
    if tuple(answer.status for answer in heard.answers) != statuses:
        return f"{statuses} was expected"
    last = heard.answers[-1]
    if case.says and case.says not in _sentence(last):
        return f"{case.says!r} was expected"
    early = case.status in EARLY or how == "byte by byte"
    if heard.closed != case.closes and not (heard.closed and early):
        return "it was closed" if heard.closed else "it was kept"
    for name, value in case.headers:
        if value not in last.headers.get(name, ""):
            return f"{name}: {value} was expected"
    if b"forged" in last.body or "forged" in str(last.headers):
        return "a trailer was believed"
    return ""


def _sentence(answer: Answer) -> str:
    """The Open Inference Protocol's error, or OpenAI's."""
    error = answer.json["error"]
    return str(error if isinstance(error, str) else error["message"])


def _hold(port: int, cases: Sequence[Case], how: How, tokens: tuple[str, str]) -> None:
    knowing = [case.knowing(*tokens) for case in cases]
    heard = asyncio.run(_tell_all(port, knowing, how))
    wrong = [
        f"{case.name}: {problem}: {[(a.status, a.body[:200]) for a in answer.answers]}"
        for case, answer in zip(cases, heard, strict=True)
        if (problem := _wrong(case, answer, how))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def tokens(mesh: Mesh, token: str) -> tuple[str, str]:
    return token, mesh.token("admin", "infer:*")


@pytest.mark.parametrize("how", get_args(How))
@pytest.mark.parametrize("cases", CORPUS)
def test_each_gets_its_answer(mesh: Mesh, tokens: tuple[str, str], cases: str, how: How) -> None:
    _hold(mesh.ports["http"], CORPUS[cases], how, tokens)


@pytest.mark.parametrize("how", ["whole", "byte by byte"])
@pytest.mark.parametrize("cases", ADMINISTRATION)
def test_so_it_does_where_administrators_ask(
    mesh: Mesh, tokens: tuple[str, str], cases: str, how: How
) -> None:
    _hold(mesh.ports["admin"], ADMINISTRATION[cases], how, tokens)
