"""The gRPC face's requests; what is taken is the same when raw and typed contents are exchanged."""

from google.protobuf.message import DecodeError

from protos import open_inference_pb2 as pb
from protos.arrays import mismatch
from protos.oip_grpc import decode_request, encode_reply
from protos.values import Part
from tests.fuzz.refusing import refusing


def one(data: bytes) -> None:
    try:
        message = pb.ModelInferRequest.FromString(data)
    except DecodeError:
        return  # which grpc answers by itself
    with refusing():
        decoded = decode_request(message)
        for tensor in decoded.payload.tensors:
            assert mismatch(tensor) is None
        part = Part(decoded.payload, "1", decoded.parameters, True)
        encode_reply(decoded.model, decoded.id, part)
        encode_reply(decoded.model, decoded.id, part, typed=True)
