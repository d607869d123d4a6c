"""The web wrapper that one writes first, for comparison: a language model behind Starlette.

    python -m gateway.tour.wrapper PORT FOLDER

No identity, no policies; transformers' `generate()` answers one request at a time, in a thread.
"""

import asyncio
import sys
from typing import Any

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import AutoModelForCausalLM, AutoTokenizer


def app(folder: str) -> Starlette:
    """Answers chats as OpenAI's API does, as far as the tour's requests go."""
    tokeniser: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    turn = asyncio.Lock()

    def said(messages: list[dict[str, str]], most: int) -> str:
        prompt = tokeniser.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            tokens = model.generate(
                **prompt, min_new_tokens=most, max_new_tokens=most, do_sample=False
            )
        said: str = tokeniser.decode(tokens[0, prompt["input_ids"].shape[1] :])
        return said

    async def chat(request: Request) -> JSONResponse:
        body = await request.json()
        async with turn:
            text = await asyncio.to_thread(said, body["messages"], body["max_tokens"])
        message = {"role": "assistant", "content": text}
        return JSONResponse({"choices": [{"index": 0, "message": message}]})

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


if __name__ == "__main__":
    port, folder = sys.argv[1:]
    torch.set_num_threads(1)
    uvicorn.run(app(folder), port=int(port), log_level="error", access_log=False)
