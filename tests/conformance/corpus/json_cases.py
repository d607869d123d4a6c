"""Bodies of JSON: what is none, what has two meanings, and values out of every range."""

import json
from typing import Any

from tests.conformance.corpus.wire import Case, request

_LONG = b"/v2/models/long/infer"
_TENSOR: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}
_GOOD = json.dumps({"inputs": [_TENSOR]}).encode()
_NO_JSON = "the body is not valid JSON"
_TOO_MUCH = "64 bits"


def _sent(name: str, body: bytes, says: str = "", status: int = 400) -> Case:
    return Case(name, request(_LONG, method=b"POST", body=body), status, says)


def _data(text: bytes) -> bytes:
    return _GOOD.replace(b"[1, 2]", b"[" + text + b", 2]")


def _tensor(**changes: Any) -> bytes:
    return json.dumps({"inputs": [{**_TENSOR, **changes}]}).encode()


def _with(**members: Any) -> bytes:
    return json.dumps({"inputs": [_TENSOR], **members}).encode()


TEXTS = (
    _sent("the body that is spoilt below", _GOOD, status=200),
    _sent("nothing", b"", _NO_JSON),
    _sent("a byte order mark", b"\xef\xbb\xbf" + _GOOD, "byte order mark"),
    _sent("UTF-16", _GOOD.decode().encode("utf-16"), _NO_JSON),
    _sent("UTF-16 without a mark", _GOOD.decode().encode("utf-16-le"), _NO_JSON),
    _sent("overlong UTF-8", _GOOD.replace(b'"x"', b'"\xc0\xaf"'), _NO_JSON),
    _sent("half a surrogate pair in UTF-8", _GOOD.replace(b'"x"', b'"\xed\xa0\x80"'), _NO_JSON),
    _sent("half a surrogate pair escaped", _GOOD.replace(b'"x"', b'"\\ud800"'), _NO_JSON),
    _sent("the other half", _GOOD.replace(b'"x"', b'"\\udc00"'), _NO_JSON),
    _sent("a control character", _GOOD.replace(b'"x"', b'"\n"'), _NO_JSON),
    _sent("two documents", _GOOD + _GOOD, _NO_JSON),
    _sent("NUL at the end", _GOOD + b"\0", _NO_JSON),
    _sent("a comment", _GOOD + b"// x", _NO_JSON),
    _sent("a comma too many", _data(b"1,"), _NO_JSON),
    _sent("single quotes", _GOOD.replace(b'"', b"'"), _NO_JSON),
    _sent("a list", b"[]", "must be a JSON object"),
    _sent("null", b"null", "must be a JSON object"),
    _sent("100,000 brackets", b"[" * 100_000, _NO_JSON),
    _sent("65 levels", b'{"inputs": ' + b"[" * 64 + b"]" * 64 + b"}", "inputs"),
    _sent("a key twice", _GOOD.replace(b'"name"', b'"name": "y", "name"'), '"name" is there twice'),
    _sent(
        "a key twice, once escaped", _GOOD.replace(b'"name"', b'"n\\u0061me": 1, "name"'), "twice"
    ),
    _sent("NaN", _data(b"NaN"), _NO_JSON),
    _sent("Infinity", _data(b"Infinity"), _NO_JSON),
    _sent("-Infinity", _data(b"-Infinity"), _NO_JSON),
    _sent("1e400", _data(b"1e400"), _NO_JSON),
    _sent("-1e400", _data(b"-1e400"), _NO_JSON),
    _sent("4,300 digits", _data(b"9" * 4300), _NO_JSON),
    _sent("a leading zero", _data(b"01"), _NO_JSON),
    _sent("a leading plus", _data(b"+1"), _NO_JSON),
    _sent("hexadecimal", _data(b"0x1"), _NO_JSON),
)

VALUES = (
    _sent("a number beyond its type", _data(b"1e39"), "data[0] is too large for FP32"),
    _sent("null among numbers", _data(b"null"), "data[0] must be a number"),
    _sent("true among numbers", _data(b"true"), "data[0] must be a number"),
    _sent("a text among numbers", _data(b'"1"'), "data[0] must be a number"),
    _sent("a list among numbers", _data(b"[1]"), "nested deeper"),
    _sent("data that is a text", _tensor(data="12"), "data: must be an array"),
    _sent("data that is an object", _tensor(data={"0": 1}), "data: must be an array"),
    _sent("too few numbers", _tensor(data=[1]), "data has 1 elements"),
    _sent("too many numbers", _tensor(data=[1, 2, 3]), "data has 3 elements"),
    _sent("a negative shape", _tensor(shape=[-2]), "negative dimension"),
    _sent("two negative dimensions", _tensor(shape=[-1, -2]), "negative dimension"),
    _sent("a shape with a fraction", _tensor(shape=[2.0]), "shape must consist of integers"),
    _sent("a shape of truths", _tensor(shape=[True, 2]), "shape must consist of integers"),
    _sent("a shape that is null", _tensor(shape=None), "shape: must be an array"),
    _sent("a shape of 2 to the 63rd", _tensor(shape=[2**63]), "elements"),
    _sent("a shape of 2 to the 64th", _tensor(shape=[2**64 + 2]), _TOO_MUCH),
    _sent("a product over 64 bits", _tensor(shape=[2**33, 2**33]), "elements"),
    _sent("zero times a lot", _tensor(shape=[0, 2**40], data=[]), "elements"),
    _sent("10,000 dimensions", _tensor(shape=[1] * 10_000), "dimensions"),
    _sent("a type that nobody knows", _tensor(datatype="FP33"), "FP33"),
    _sent("a type of 10,000 letters", _tensor(datatype="F" * 10_000), "there is no datatype"),
    _sent("a name of 300 letters", _tensor(name="x" * 300), "longer than 256"),
    _sent("an input that the model lacks", _tensor(name="z"), '"x" is missing'),
    _sent("a field that is none", _tensor(dat=1), 'no field "dat"'),
    _sent("2,000 inputs", json.dumps({"inputs": [_TENSOR] * 2000}).encode(), "2000"),
    _sent("an id of 10,000 letters", _with(id="a" * 10_000), "id: is longer than 256"),
    _sent("an id that is a number", _with(id=7), "id: must be a string"),
    _sent("1,000 parameters", _with(parameters={str(n): 1 for n in range(1000)}), "parameters"),
    _sent("a parameter over 64 bits", _with(parameters={"a": 2**70}), _TOO_MUCH),
    _sent("a negative timeout", _with(parameters={"timeout": -1}), "parameters.timeout"),
    _sent("a priority of 10 to the 12th", _with(parameters={"priority": 10**12}), "priority"),
    _sent("shared memory", _tensor(parameters={"shared_memory_region": "r"}), status=501),
    # As many as a small body holds; read off the event loop.
    _sent("30,000 empty lists", _tensor(data=[[]] * 30_000), "data has 0 elements"),
    _sent("30,000 lists of one", _tensor(shape=[30_000, 1], data=[[1]] * 30_000), "shape"),
    _sent("30,000 objects", _tensor(data=[{}] * 30_000), "data[0] must be a number"),
)

_CHAT: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def _asked(name: str, says: str = "", status: int = 400, **changes: Any) -> Case:
    body = json.dumps({**_CHAT, **changes}).encode()
    return Case(name, request(b"/v1/chat/completions", method=b"POST", body=body), status, says)


def _embedded(name: str, says: str, **members: Any) -> Case:
    body = json.dumps({"model": "embed", **members}).encode()
    return Case(name, request(b"/v1/embeddings", method=b"POST", body=body), 400, says)


def _chat_text(name: str, body: bytes, says: str) -> Case:
    return Case(name, request(b"/v1/chat/completions", method=b"POST", body=body), 400, says)


_TURN = {"role": "user", "content": "a"}
OPENAI = (
    _asked("a chat", status=200),
    _chat_text("no JSON", b"{", "not valid JSON"),
    _chat_text("a chat of NaN", json.dumps(_CHAT | {"top_p": float("nan")}).encode(), "JSON"),
    _chat_text("a chat 200 deep", b'{"messages": ' + b"[" * 200 + b"]" * 200 + b"}", "64 levels"),
    _chat_text("a chat's key twice", b'{"model": "a", "model": "b"}', '"model" is there twice'),
    _asked("a model that is a number", "model: must be a string", model=7),
    _asked("a model of nothing", "model: must be a string", model=""),
    _asked("a model of 5,000 letters", "model: is longer", model="a" * 5000),
    _asked("a model in another folder", "is not found", 404, model="../../etc/passwd"),
    _asked("a model of tensors", "takes tensors", model="long"),
    _asked("no messages", "messages", messages=[]),
    _asked("messages that are an object", "messages", messages={}),
    _asked("a message that is a number", "messages[0]", messages=[7]),
    _asked("a role that is a number", "messages[0].role", messages=[{"role": 7}]),
    _asked("a role that nobody has", "messages[0].role", messages=[{"role": "root"}]),
    _asked("a content that is a number", "messages[0].content", messages=[_TURN | {"content": 7}]),
    _asked("10,000 messages, the last wrong", "messages[10000]", messages=[_TURN] * 10_000 + [7]),
    _asked("10 to the 9th choices", "n: must be", n=10**9),
    _asked("no choices", "n: must be", n=0),
    _asked("tokens over 64 bits", "64 bits", max_tokens=10**30),
    _asked("fewer than no tokens", "max_tokens: must be", max_tokens=-1),
    _asked("a stream that is a text", "stream: must be", stream="yes"),
    _asked("10,000 biases", "logit_bias", logit_bias={str(n): 1 for n in range(10_000)}),
    _embedded("no input", "input: must be"),
    _embedded("an empty input", "input: must be", input=[]),
    _embedded("texts and tokens", "input: must hold", input=["a", 1]),
    _embedded("tokens with a fraction", "input: must hold", input=[[1, 2.5]]),
    _embedded("100,000 inputs", "input: has 100000 elements", input=[[1]] * 100_000),
    _embedded("an encoding that nobody knows", "encoding_format", input="a", encoding_format="x"),
    _embedded("fewer than no dimensions", "dimensions", input="a", dimensions=-1),
)
