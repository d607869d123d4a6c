"""The committed stubs are what protoc makes of the .proto files, and live beside others."""

from pathlib import Path

from protos.generate import FILES, HERE, generate


def test_the_committed_stubs_are_up_to_date(tmp_path: Path) -> None:
    (tmp_path / "protos").mkdir()
    generate(tmp_path)
    for name in FILES:
        for suffix in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py"):
            made = (tmp_path / "protos" / (name + suffix)).read_text()
            assert made == (HERE / (name + suffix)).read_text(), "run make protos"


def test_tritons_own_stubs_can_be_imported_beside_ours() -> None:
    from tritonclient.grpc import service_pb2

    from protos import open_inference_pb2

    theirs = service_pb2.ModelInferRequest(model_name="m", id="1")
    ours = open_inference_pb2.ModelInferRequest.FromString(theirs.SerializeToString())
    assert (ours.model_name, ours.id) == ("m", "1")
