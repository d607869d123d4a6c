"""Ready-made requests for a model, from nothing but its signature: what to paste into a terminal.

Sizes that may vary are 1 and all values are zero (empty texts), which every model accepts that
doesn't check values. Large inputs, and FP16 and BF16, which have no JSON form, go as zero bytes in
the binary extension of the Open Inference Protocol.
"""

import json
import math
import shlex
from dataclasses import dataclass
from typing import Any

from protos.datatypes import DATATYPES

_MOST_VALUES_IN_JSON = 256
_TEXT = "Tell me something."
_RAW_ONLY = ("FP16", "BF16")


@dataclass(frozen=True, slots=True)
class Input:
    """An input as a model's metadata tell it; -1 in `shape` is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def sample_shape(self) -> list[int]:
        return [1 if size < 0 else size for size in self.shape]

    @property
    def values(self) -> int:
        return math.prod(self.sample_shape)

    @property
    def raw_bytes(self) -> int:
        """Of a sample in binary form; an empty BYTES element is its length, four zero bytes."""
        width = 4 if self.datatype == "BYTES" else DATATYPES[self.datatype].itemsize
        return width * self.values


@dataclass(frozen=True, slots=True)
class Access:
    """Where the gateway is reached, and the file that holds a token for it.

    `authority` is the file with the certificates that vouch for it; empty without TLS.
    """

    url: str
    token_file: str
    authority: str = ""


def inputs_of(metadata: dict[str, Any]) -> tuple[Input, ...]:
    """The inputs in the answer to GET /v2/models/M."""
    return tuple(
        Input(each["name"], each["datatype"], tuple(int(size) for size in each["shape"]))
        for each in metadata["inputs"]
    )


def curl(access: Access, model: str, version: str, inputs: tuple[Input, ...]) -> str:
    """A shell command that has the model answer, whatever its inputs are."""
    url, header = shlex.quote(f"{access.url}{_path(model, version)}/infer"), _header(access)
    if sum(each.values for each in inputs) <= _MOST_VALUES_IN_JSON and not any(
        each.datatype in _RAW_ONLY for each in inputs
    ):
        body = {"inputs": [_in_json(each) for each in inputs]}
        return f"curl {url} {header} \\\n  {_json(body)}"
    head = json.dumps({"inputs": [_in_binary(each) for each in inputs]}, separators=(",", ":"))
    zeros = sum(each.raw_bytes for each in inputs)
    return (
        f"(printf %s {shlex.quote(head)}; head -c {zeros} /dev/zero) | curl {url} {header} \\\n"
        f"  -H 'content-type: application/octet-stream' "
        f"-H 'inference-header-content-length: {len(head.encode())}' --data-binary @- --output -"
    )


def generate_stream(access: Access, model: str, version: str, inputs: tuple[Input, ...]) -> str:
    """A shell command that shows the parts of a reply as a model makes them."""
    url = shlex.quote(f"{access.url}{_path(model, version)}/generate_stream")
    body = {each.name: _generated(each) for each in inputs}
    return f"curl -N {url} {_header(access)} \\\n  {_json(body)}"


def chat(access: Access, model: str) -> str:
    """A shell command that has a language model answer, part by part."""
    url = shlex.quote(f"{access.url}/v1/chat/completions")
    messages = [{"role": "user", "content": _TEXT}]
    body = {"model": model, "messages": messages, "max_tokens": 40, "stream": True}
    return f"curl -N {url} {_header(access)} \\\n  {_json(body)}"


def chat_python(access: Access, model: str) -> str:
    """A Python program that does so with OpenAI's own client."""
    trust, modules = "", "openai, pathlib"
    if access.authority:
        context = f"ssl.create_default_context(cafile={access.authority!r})"
        trust = f", http_client=openai.DefaultHttpxClient(verify={context})"
        modules += ", ssl"
    asked = f'[{{"role": "user", "content": {json.dumps(_TEXT)}}}]'
    return "\n".join(
        [
            f"import {modules}",
            f"key = pathlib.Path({access.token_file!r}).read_text().strip()",
            f'client = openai.OpenAI(base_url="{access.url}/v1", api_key=key{trust})',
            f"answer = client.chat.completions.create(model={model!r}, messages={asked})",
            "print(answer.choices[0].message.content)",
        ]
    )


def python(access: Access, model: str, version: str, inputs: tuple[Input, ...]) -> str:
    """A Python program that does the same with the stock `tritonclient`."""
    _, _, address = access.url.partition("://")
    ssl = (
        f', ssl=True, ssl_options={{"ca_certs": {access.authority!r}}}' if access.authority else ""
    )
    lines = [
        "import pathlib, numpy, tritonclient.http as triton",
        f"token = pathlib.Path({access.token_file!r}).read_text().strip()",
        f"client = triton.InferenceServerClient({address!r}{ssl})",
        "inputs = []",
    ]
    for each in inputs:
        arguments = f"{each.name!r}, {each.sample_shape}, {each.datatype!r}"
        lines += [
            f"inputs.append(triton.InferInput({arguments}))",
            f"inputs[-1].set_data_from_numpy({_zeros(each)})",
        ]
    asked = f"{model!r}, inputs, model_version={version!r}"
    lines += [
        f'answer = client.infer({asked}, headers={{"authorization": f"Bearer {{token}}"}})',
        "print(answer.get_response())",
    ]
    return "\n".join(lines)


def _path(model: str, version: str) -> str:
    return f"/v2/models/{model}/versions/{version}" if version else f"/v2/models/{model}"


def _header(access: Access) -> str:
    header = f'-H "authorization: Bearer $(cat {shlex.quote(access.token_file)})"'
    if access.authority:
        return f"--cacert {shlex.quote(access.authority)} {header}"
    return header


def _json(body: dict[str, Any]) -> str:
    text = json.dumps(body, separators=(",", ":"))
    return f"-d {shlex.quote(text)} -H 'content-type: application/json'"


def _generated(each: Input) -> Any:
    """A generator's input: a text, or zeros in the shape that is asked for."""
    value: Any = {"BYTES": _TEXT, "BOOL": False}.get(each.datatype, 0)
    for size in reversed(each.sample_shape):
        value = [value] * size
    return value


def _in_json(each: Input) -> dict[str, Any]:
    zero: Any = {"BYTES": "", "BOOL": False}.get(each.datatype, 0)
    return {**_described(each), "data": [zero] * each.values}


def _in_binary(each: Input) -> dict[str, Any]:
    return {**_described(each), "parameters": {"binary_data_size": each.raw_bytes}}


def _described(each: Input) -> dict[str, Any]:
    return {"name": each.name, "shape": each.sample_shape, "datatype": each.datatype}


def _zeros(each: Input) -> str:
    if each.datatype == "BYTES":
        return f"numpy.full({each.sample_shape}, b'', dtype=object)"
    # tritonclient takes BF16 as float32 and shortens it itself.
    dtype = "float32" if each.datatype == "BF16" else DATATYPES[each.datatype].dtype.name
    return f"numpy.zeros({each.sample_shape}, {dtype!r})"
