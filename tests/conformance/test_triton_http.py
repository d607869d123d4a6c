"""tritonclient.http, unchanged: synchronous (gevent) and asynchronous (aiohttp)."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from chaos.mesh import Mesh
from protos.datatypes import Array
from tests.integration.mesh_models import echo_name

Headers = dict[str, str]


@pytest.fixture
def client(mesh: Mesh) -> Iterator[Any]:
    with triton.InferenceServerClient(mesh.address("http"), concurrency=2) as client:
        yield client


@pytest.fixture
async def aclient(mesh: Mesh) -> AsyncIterator[Any]:
    async with triton_aio.InferenceServerClient(mesh.address("http")) as client:
        yield client


def tensor(name: str, datatype: str, array: Array, *, binary: bool = True) -> Any:
    found = triton.InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def several_inputs(*, binary: bool = True) -> list[Any]:
    numbers = np.array([[1, 2, 3]], "i4")
    text = np.array([["abc"]], object)
    return [
        tensor("left", "INT32", numbers * 10, binary=binary),
        tensor("right", "INT32", numbers, binary=binary),
        tensor("text", "BYTES", text, binary=binary),
    ]


def test_every_datatype_goes_and_comes_back_in_binary_form(
    client: Any, bearer: Headers, sample: tuple[str, Array]
) -> None:
    datatype, array = sample

    result = client.infer(
        echo_name(datatype), [tensor("x", datatype, array)], headers=bearer, request_id="echo-1"
    )

    np.testing.assert_array_equal(result.as_numpy("y"), array)
    assert result.get_response()["id"] == "echo-1"
    assert result.get_response()["model_version"] == "1"
    assert result.get_output("y")["datatype"] == datatype


def test_every_datatype_that_has_a_form_goes_and_comes_back_as_json(
    client: Any, bearer: Headers, sample: tuple[str, Array]
) -> None:
    datatype, array = sample
    if datatype in ("FP16", "BF16"):
        return  # the client itself refuses
    if datatype == "BYTES":
        array = np.array([["", "größer"], ["two\nlines", '"']], object)

    result = client.infer(
        echo_name(datatype),
        [tensor("x", datatype, array, binary=False)],
        outputs=[triton.InferRequestedOutput("y", binary_data=False)],
        headers=bearer,
    )

    assert "parameters" not in result.get_output("y")
    np.testing.assert_array_equal(result.as_numpy("y"), array)


@pytest.mark.parametrize("goes", [True, False])
@pytest.mark.parametrize("comes", [True, False])
def test_each_direction_has_its_own_form(
    client: Any, bearer: Headers, goes: bool, comes: bool
) -> None:
    outputs = [triton.InferRequestedOutput(name, binary_data=comes) for name in ("sum", "shout")]

    result = client.infer("several", several_inputs(binary=goes), outputs=outputs, headers=bearer)

    assert result.as_numpy("sum").tolist() == [[11, 22, 33]]
    assert result.as_numpy("shout").tolist() == [[b"ABC" if comes else "ABC"]]
    assert result.as_numpy("difference") is None
    assert ("parameters" in result.get_output("sum")) is comes


def test_outputs_come_in_the_order_in_which_they_were_asked_for(
    client: Any, bearer: Headers
) -> None:
    names = ["shout", "difference", "sum"]
    outputs = [triton.InferRequestedOutput(name, binary_data=name != "sum") for name in names]

    result = client.infer("several", several_inputs(), outputs=outputs, headers=bearer)

    assert [each["name"] for each in result.get_response()["outputs"]] == names


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_requests_may_be_compressed(client: Any, bearer: Headers, algorithm: str) -> None:
    result = client.infer(
        "several",
        several_inputs(),
        headers=bearer,
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
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


def test_a_timeout_ends_the_request_while_it_waits(client: Any, bearer: Headers) -> None:
    inputs = [
        tensor("seconds", "FP32", np.array([0.4], "f4")),
        tensor("tag", "BYTES", np.array(["timeout"], object)),
    ]

    with pytest.raises(InferenceServerException) as refused:
        client.infer("slow", inputs, headers=bearer, timeout=50_000)

    assert refused.value.status() == "504"


def test_requests_may_run_side_by_side(client: Any, bearer: Headers) -> None:
    running = [
        client.async_infer("several", several_inputs(), headers=dict(bearer), request_id=str(i))
        for i in range(8)
    ]

    answers = [each.get_result().get_response()["id"] for each in running]

    assert answers == [str(i) for i in range(8)]


def test_health_and_metadata(client: Any, bearer: Headers) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("several", headers=bearer)
    assert client.is_model_ready("several", "1", headers=bearer)
    assert not client.is_model_ready("several", "9", headers=bearer)
    assert client.get_server_metadata(headers=bearer)["name"] == "penstock"
    found = client.get_model_metadata("several", headers=bearer)
    assert found["versions"] == ["1"]
    assert [each["name"] for each in found["inputs"]] == ["left", "right", "text"]
    assert found["outputs"][2] == {"name": "shout", "datatype": "BYTES", "shape": [-1, 1]}


def test_configuration(client: Any, bearer: Headers) -> None:
    config = client.get_model_config("several", "1", headers=bearer)

    assert config["name"] == "several"
    assert config["max_batch_size"] > 1
    assert {each["name"]: each["data_type"] for each in config["output"]} == {
        "sum": "TYPE_INT32",
        "difference": "TYPE_INT32",
        "shout": "TYPE_STRING",
    }


def test_statistics_count_rows(client: Any, bearer: Headers) -> None:
    def counted() -> int:
        (found,) = client.get_inference_statistics("several", headers=bearer)["model_stats"]
        assert found["name"] == "several"
        count: int = found["inference_count"]
        return count

    before = counted()
    client.infer("several", several_inputs(), headers=bearer)

    assert counted() == before + 1


def test_index_load_and_unload(client: Any, admin_bearer: Headers) -> None:
    def state() -> dict[str, Any]:
        rows = client.get_model_repository_index(headers=admin_bearer)
        found: dict[str, Any] = next(row for row in rows if row["name"] == "echo_uint16")
        return found

    assert state() == {"name": "echo_uint16", "version": "1", "state": "READY", "reason": ""}
    client.unload_model("echo_uint16", headers=admin_bearer)
    try:
        assert state()["state"] == "UNAVAILABLE"
        assert state()["reason"]
    finally:
        client.load_model("echo_uint16", headers=admin_bearer)
    assert state()["state"] == "READY"


def test_errors_arrive_as_the_clients_exception(client: Any, bearer: Headers) -> None:
    with pytest.raises(InferenceServerException, match='"text" is missing') as refused:
        client.infer("several", several_inputs()[:2], headers=bearer)

    assert refused.value.status() == "400"


async def test_the_asynchronous_client_infers_in_both_forms(aclient: Any, bearer: Headers) -> None:
    for binary in (True, False):
        outputs = [triton_aio.InferRequestedOutput("sum", binary_data=binary)]
        result = await aclient.infer(
            "several", several_inputs(binary=binary), outputs=outputs, headers=dict(bearer)
        )
        assert result.as_numpy("sum").tolist() == [[11, 22, 33]]


async def test_the_asynchronous_client_sees_the_control_side(
    aclient: Any, admin_bearer: Headers
) -> None:
    headers = admin_bearer
    assert await aclient.is_server_live()
    assert await aclient.is_server_ready()
    assert await aclient.is_model_ready("several", headers=headers)
    assert (await aclient.get_server_metadata(headers=headers))["name"] == "penstock"
    assert (await aclient.get_model_metadata("several", headers=headers))["name"] == "several"
    assert (await aclient.get_model_config("several", headers=headers))["name"] == "several"
    statistics = await aclient.get_inference_statistics("several", headers=headers)
    assert statistics["model_stats"][0]["name"] == "several"
    index = await aclient.get_model_repository_index(headers=headers)
    assert "several" in {row["name"] for row in index}
    await aclient.unload_model("echo_int16", headers=headers)
    assert not await aclient.is_model_ready("echo_int16", headers=headers)
    await aclient.load_model("echo_int16", headers=headers)
    assert await aclient.is_model_ready("echo_int16", headers=headers)
