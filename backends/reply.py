"""From a job's outcome to the tensors that were asked for."""

from backends.batching.job import Outcome
from protos.arrays import to_tensor
from protos.errors import Kind, PenstockError
from protos.values import Signature, Tensor


def output_tensors(outcome: Outcome, signature: Signature) -> list[Tensor]:
    """The wanted outputs (all, if none were named) with the signature's datatypes, in its order."""
    outputs = outcome.outputs
    if not outputs:
        return []
    wanted = outcome.job.wanted
    datatypes = {spec.name: spec.datatype for spec in signature.outputs}
    names = wanted or [spec.name for spec in signature.outputs]
    for name in names:
        if name not in outputs:
            raise PenstockError(Kind.BAD_REPLY, f'the model gave no output "{name}"')
    return [to_tensor(name, outputs[name], datatypes[name]) for name in names]
