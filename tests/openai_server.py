"""A small server of OpenAI's API for tests, whose models do what their names say.

Run as `python -m tests.openai_server PORT`; `serving()` runs one in this process. Models:
`echo` repeats the last message word by word, `tools` calls a tool, `refuses` answers 400, `picky`
to fields that begin with `wrong_`, `quotes` to all with what it was told, `full` 429, `breaks` 500,
`cuts` ends its stream midway, `errs` tells an error there, `undone` never says [DONE], `slow` says
a word every 50 ms for ever, `silent` never answers, `embed` embeds, `big` says ten megabytes.
"""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

MODELS = (
    "echo",
    "tools",
    "refuses",
    "picky",
    "full",
    "breaks",
    "quotes",
    "cuts",
    "errs",
    "undone",
    "slow",
    "silent",
    "embed",
    "big",
)
TOOL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Köln"}'},
}
METRICS = """
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 5.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:lora_requests_info{max_lora="4",running_lora_adapters="b,a",waiting_lora_adapters=""} 1.7e9
vllm:e2e_request_latency_seconds_bucket{le="0.3"} 12.0
"""


class Server:
    """The application, and what it saw; `models` may be changed while it runs."""

    def __init__(self, key: str = "", *, takes_options: bool = True) -> None:
        self.key = key
        self.takes_options = takes_options
        self.models = list(MODELS)
        self.healthy = True
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.open = 0  # streams under way
        self.app = Starlette(
            routes=[
                Route("/health", self.health),
                Route("/metrics", self.metrics),
                Route("/v1/models", self.listed),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
                Route("/v1/embeddings", self.embed, methods=["POST"]),
            ]
        )

    async def health(self, request: Request) -> Response:
        return Response(status_code=200 if self.healthy else 503)

    async def metrics(self, request: Request) -> Response:
        return PlainTextResponse(METRICS)

    async def listed(self, request: Request) -> Response:
        data = [
            {"id": each, "object": "model", "created": 1, "owned_by": "t"} for each in self.models
        ]
        return JSONResponse({"object": "list", "data": data})

    async def chat(self, request: Request) -> Response:
        return await self._generate(request, "chat.completion", _said_in_chat)

    async def complete(self, request: Request) -> Response:
        return await self._generate(request, "text_completion", lambda body: str(body["prompt"]))

    async def embed(self, request: Request) -> Response:
        body = await self._read(request)
        if isinstance(body, Response):
            return body
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [
            {"object": "embedding", "index": i, "embedding": [float(len(str(text))), 0.5]}
            for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return JSONResponse(
            {"object": "list", "data": data, "model": body["model"], "usage": usage}
        )

    async def _read(self, request: Request) -> Any:
        body = orjson.loads(await request.body())
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "Incorrect API key provided: secret-of-the-server")
        if body["model"] not in self.models:
            return _error(
                404, f"The model `{body['model']}` does not exist.", code="model_not_found"
            )
        match body["model"]:
            case "refuses":
                code = "context_length_exceeded"
                return _error(400, "It is too long.", param="messages", code=code)
            case "picky":
                odd = [name for name in body if name.startswith("wrong_")]
                return _error(400, f"Unsupported fields: {odd}")
            case "full":
                return _error(429, "Busy.", headers={"retry-after": "7"})
            case "quotes":
                told = orjson.dumps(body).decode()
                return _error(400, f"Can't read {told}", param=told, code=told)
            case "breaks":
                return _error(500, "CUDA error in /srv/models")
            case "silent":
                await asyncio.sleep(3600)
        if "stream_options" in body and not self.takes_options:
            return JSONResponse({"detail": "Unsupported fields: {'stream_options'}"}, 422)
        return body

    async def _generate(self, request: Request, object_: str, said: Any) -> Response:
        body = await self._read(request)
        if isinstance(body, Response):
            return body
        chat = object_ == "chat.completion"
        words = said(body).split(" ")
        words = [word + " " for word in words[:-1]] + words[-1:]
        if body["model"] == "big":
            words = ["x" * 10_000] * 1_000
        tools = body["model"] == "tools"
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        finish = "tool_calls" if tools else "length" if limit and limit < len(words) else "stop"
        words = words[:limit]
        usage = {
            "prompt_tokens": 7,
            "completion_tokens": len(words),
            "total_tokens": 7 + len(words),
        }
        head = {"id": "x-1", "created": int(time.time()), "model": body["model"]}
        if body.get("stream"):
            chunk = object_ + ".chunk" if chat else object_
            events = self._stream({**head, "object": chunk}, words, finish, usage, body, chat)
            return StreamingResponse(events, media_type="text/event-stream")
        choices = []
        for index in range(body.get("n") or 1):
            choice: dict[str, Any] = {"index": index, "finish_reason": finish, "logprobs": None}
            message: dict[str, Any] = {"role": "assistant", "content": "".join(words)}
            if tools:
                message |= {"content": None, "tool_calls": [TOOL]}
            choices.append(choice | ({"message": message} if chat else {"text": "".join(words)}))
        return JSONResponse({**head, "object": object_, "choices": choices, "usage": usage})

    async def _stream(
        self,
        head: dict[str, Any],
        words: list[str],
        finish: str,
        usage: dict[str, int],
        body: dict[str, Any],
        chat: bool,
    ) -> AsyncIterator[bytes]:
        model = body["model"]
        telling = (body.get("stream_options") or {}).get("include_usage", False)

        def event(finish: str | None = None, **said: Any) -> bytes:
            choice = {"index": 0, "finish_reason": finish, "logprobs": None}
            choice |= {"delta": said} if chat else {"text": said.get("content", "")}
            return _event({**head, "choices": [choice]} | ({"usage": None} if telling else {}))

        self.open += 1
        try:
            if chat:
                yield event(role="assistant", content="")
            for number, word in enumerate(words):
                if model == "tools":
                    call = {**TOOL, "index": 0}
                    yield event(tool_calls=[call])
                    break
                if model == "cuts" and number == 1:
                    return
                if model == "errs" and number == 1:
                    yield _event({"error": {"message": "It broke in /srv.", "code": 500}})
                    return
                yield event(content=word)
                await asyncio.sleep(0)
            while model == "slow":
                await asyncio.sleep(0.05)
                yield event(content="word ")
            yield event(finish)
            if telling:
                yield _event({**head, "choices": [], "usage": usage})
            if model != "undone":
                yield b"data: [DONE]\n\n"
        finally:
            self.open -= 1


def _said_in_chat(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


def _event(data: Any) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _error(status: int, message: str, **more: Any) -> Response:
    headers = more.pop("headers", None)
    error = {"message": message, "type": "t", "param": None, "code": None, **more}
    return JSONResponse({"error": error}, status, headers)


@contextlib.contextmanager
def serving(server: Server) -> Iterator[str]:
    """Runs it in a thread; yields the URL of its API."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    config = uvicorn.Config(server.app, log_level="warning", lifespan="off")
    runs = uvicorn.Server(config)
    thread = threading.Thread(target=runs.run, args=([bound],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
    finally:
        runs.should_exit = runs.force_exit = True
        thread.join(10)
        bound.close()


if __name__ == "__main__":
    uvicorn.run(Server().app, port=int(sys.argv[1]), log_level="warning")
