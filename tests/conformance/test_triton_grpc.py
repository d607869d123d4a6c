"""tritonclient.grpc, unchanged: synchronous and asynchronous, unary and streamed."""

import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from chaos.mesh import Mesh
from protos.datatypes import Array
from tests.integration.mesh_models import echo_name

Headers = dict[str, str]


@pytest.fixture
def client(mesh: Mesh) -> Iterator[Any]:
    with triton.InferenceServerClient(mesh.address("grpc")) as client:
        yield client


@pytest.fixture
async def aclient(mesh: Mesh) -> AsyncIterator[Any]:
    async with triton_aio.InferenceServerClient(mesh.address("grpc")) as client:
        yield client


def tensor(name: str, datatype: str, array: Array) -> Any:
    found = triton.InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array)
    return found


def several_inputs() -> list[Any]:
    numbers = np.array([[1, 2, 3]], "i4")
    return [
        tensor("left", "INT32", numbers * 10),
        tensor("right", "INT32", numbers),
        tensor("text", "BYTES", np.array([["abc"]], object)),
    ]


def count_inputs(n: int, pause: float = 0.0) -> list[Any]:
    return [
        tensor("n", "INT32", np.array([n], "i4")),
        tensor("pause", "FP32", np.array([pause], "f4")),
    ]


class Stream:
    """Answers of one ModelStreamInfer as the client's callback gets them."""

    def __init__(self, client: Any, headers: Headers) -> None:
        self._client = client
        self._answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.start_stream(self._arrived, headers=headers)

    def _arrived(self, result: Any, error: Any) -> None:
        self._answers.put((result, error))

    def send(self, model: str, inputs: list[Any], **more: Any) -> None:
        self._client.async_stream_infer(model, inputs, **more)

    def take(self) -> Any:
        """The next answer; raises the error that came in its place."""
        result, error = self._answers.get(timeout=10.0)
        if error is not None:
            raise error
        return result

    def close(self) -> int:
        """Ends the stream; how many answers nobody has taken."""
        self._client.stop_stream()
        return self._answers.qsize()


@pytest.fixture
def stream(client: Any, bearer: Headers) -> Iterator[Stream]:
    stream = Stream(client, bearer)
    yield stream
    stream.close()


def test_every_datatype_goes_and_comes_back(
    client: Any, bearer: Headers, sample: tuple[str, Array]
) -> None:
    datatype, array = sample

    result = client.infer(
        echo_name(datatype), [tensor("x", datatype, array)], headers=bearer, request_id="echo-1"
    )

    np.testing.assert_array_equal(result.as_numpy("y"), array)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == (
        "echo-1",
        echo_name(datatype),
        "1",
    )
    assert response.outputs[0].datatype == datatype


def test_outputs_come_in_the_order_in_which_they_were_asked_for(
    client: Any, bearer: Headers
) -> None:
    outputs = [triton.InferRequestedOutput(name) for name in ("shout", "sum")]

    result = client.infer("several", several_inputs(), outputs=outputs, headers=bearer)

    assert [each.name for each in result.get_response().outputs] == ["shout", "sum"]
    assert result.as_numpy("sum").tolist() == [[11, 22, 33]]
    assert result.as_numpy("shout").tolist() == [[b"ABC"]]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_calls_may_be_compressed(client: Any, bearer: Headers, algorithm: str) -> None:
    result = client.infer(
        "several", several_inputs(), headers=bearer, compression_algorithm=algorithm
    )

    assert result.as_numpy("sum").tolist() == [[11, 22, 33]]


def test_schedule_and_own_parameters_are_taken(client: Any, bearer: Headers) -> None:
    result = client.infer(
        "several",
        several_inputs(),
        headers=bearer,
        priority=1,
        timeout=5_000_000,
        parameters={"trace": "yes", "level": 3, "strict": True},
    )

    assert result.as_numpy("sum").tolist() == [[11, 22, 33]]


def test_the_calls_own_deadline_holds(client: Any, bearer: Headers) -> None:
    inputs = [
        tensor("seconds", "FP32", np.array([0.4], "f4")),
        tensor("tag", "BYTES", np.array(["deadline"], object)),
    ]

    with pytest.raises(InferenceServerException) as refused:
        client.infer("slow", inputs, headers=bearer, client_timeout=0.05)

    assert refused.value.status() == "StatusCode.DEADLINE_EXCEEDED"


def test_health_and_metadata(client: Any, bearer: Headers) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("several", "1", headers=bearer)
    assert client.get_server_metadata(headers=bearer).name == "penstock"
    found = client.get_model_metadata("several", headers=bearer, as_json=True)
    assert found["versions"] == ["1"]
    assert [each["name"] for each in found["inputs"]] == ["left", "right", "text"]


def test_configuration_and_statistics(client: Any, bearer: Headers) -> None:
    config = client.get_model_config("count", headers=bearer).config
    assert config.name == "count"
    assert config.model_transaction_policy.decoupled
    client.infer("several", several_inputs(), headers=bearer)
    (found,) = client.get_inference_statistics("several", headers=bearer).model_stats
    assert found.inference_stats.success.count > 0
    assert found.execution_count <= found.inference_count


def test_index_load_and_unload(client: Any, admin_bearer: Headers) -> None:
    def state() -> str:
        rows = client.get_model_repository_index(headers=admin_bearer).models
        return next(row.state for row in rows if row.name == "echo_uint32")

    assert state() == "READY"
    client.unload_model("echo_uint32", headers=admin_bearer)
    try:
        assert state() == "UNAVAILABLE"
    finally:
        client.load_model("echo_uint32", headers=admin_bearer)
    assert state() == "READY"


def test_a_stream_answers_unary_models_in_the_order_of_the_requests(stream: Stream) -> None:
    for i in range(20):
        stream.send("several", several_inputs(), request_id=str(i))

    assert [stream.take().get_response().id for _ in range(20)] == [str(i) for i in range(20)]


def test_a_stream_carries_the_parts_of_a_decoupled_model(stream: Stream) -> None:
    stream.send("count", count_inputs(4), request_id="parts")

    answers = [stream.take() for _ in range(4)]

    assert [int(each.as_numpy("part")[0]) for each in answers] == [0, 1, 2, 3]
    assert {each.get_response().id for each in answers} == {"parts"}


def test_the_end_of_a_decoupled_answer_is_told_to_who_asks(stream: Stream) -> None:
    stream.send("count", count_inputs(2), enable_empty_final_response=True)

    answers = [stream.take().get_response() for _ in range(3)]

    final = [each.parameters["triton_final_response"].bool_param for each in answers]
    assert final == [False, False, True]
    assert not answers[-1].outputs


def test_a_unary_answer_on_a_stream_is_its_own_end(stream: Stream) -> None:
    stream.send("several", several_inputs(), enable_empty_final_response=True)

    answer = stream.take().get_response()

    assert answer.parameters["triton_final_response"].bool_param
    assert len(answer.outputs) == 3
    assert stream.close() == 0


def test_one_bad_request_leaves_its_stream_alive(stream: Stream) -> None:
    stream.send("several", several_inputs()[:2])
    with pytest.raises(InferenceServerException, match='"text" is missing'):
        stream.take()

    stream.send("several", several_inputs(), request_id="after")

    assert stream.take().get_response().id == "after"


def test_a_decoupled_model_is_not_for_unary_calls(client: Any, bearer: Headers) -> None:
    with pytest.raises(InferenceServerException, match="several parts") as refused:
        client.infer("count", count_inputs(2), headers=bearer)

    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


async def test_the_asynchronous_client_infers(aclient: Any, bearer: Headers) -> None:
    result = await aclient.infer("several", several_inputs(), headers=bearer)

    assert result.as_numpy("sum").tolist() == [[11, 22, 33]]


async def test_the_asynchronous_client_sees_the_control_side(
    aclient: Any, admin_bearer: Headers
) -> None:
    headers = admin_bearer
    assert await aclient.is_server_live()
    assert await aclient.is_server_ready()
    assert await aclient.is_model_ready("several", headers=headers)
    assert (await aclient.get_server_metadata(headers=headers)).name == "penstock"
    assert (await aclient.get_model_metadata("several", headers=headers)).name == "several"
    assert (await aclient.get_model_config("several", headers=headers)).config.name == "several"
    statistics = await aclient.get_inference_statistics("several", headers=headers)
    assert statistics.model_stats[0].name == "several"
    index = await aclient.get_model_repository_index(headers=headers)
    assert "several" in {row.name for row in index.models}
    await aclient.unload_model("echo_int8", headers=headers)
    assert not await aclient.is_model_ready("echo_int8", headers=headers)
    await aclient.load_model("echo_int8", headers=headers)
    assert await aclient.is_model_ready("echo_int8", headers=headers)


async def test_the_asynchronous_client_streams(aclient: Any, bearer: Headers) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        yield {"model_name": "count", "inputs": count_inputs(3)}
        yield {"model_name": "several", "inputs": several_inputs()}

    parts = []
    async for result, error in aclient.stream_infer(requests(), headers=bearer):
        assert error is None
        parts.append(result.get_response().model_name)

    assert sorted(parts) == ["count", "count", "count", "several"]
