"""Holds a call's tensors against the model's signature; every refusal names the tensor."""

from collections.abc import Mapping

from backends.runtime import Arrays
from protos.errors import invalid
from protos.values import Signature


def check_inputs(signature: Signature, inputs: Arrays, datatypes: Mapping[str, str]) -> None:
    """Raises INVALID for inputs that are missing, unknown, of another datatype or shape."""
    for spec in signature.inputs:
        array = inputs.get(spec.name)
        if array is None:
            if spec.optional:
                continue
            wanted = ", ".join(f'"{s.name}"' for s in signature.inputs)
            raise invalid(f'inputs: "{spec.name}" is missing; the model takes {wanted}')
        if datatypes[spec.name] != spec.datatype:
            raise invalid(
                f'inputs "{spec.name}": datatype is {datatypes[spec.name]}, '
                f"the model takes {spec.datatype}"
            )
        shape = array.shape
        # Compared without a generator: this runs for every input of every call.
        if len(shape) != len(spec.shape):
            raise _wrong_shape(spec.name, shape, spec.shape)
        for have, want in zip(shape, spec.shape, strict=True):
            if want not in (-1, have):
                raise _wrong_shape(spec.name, shape, spec.shape)
    known = {spec.name for spec in signature.inputs}
    for name in inputs:
        if name not in known:
            raise invalid(f'inputs: the model has no input "{name}"')


def check_wanted(signature: Signature, wanted: tuple[str, ...]) -> None:
    """Raises INVALID for an output that the model doesn't have."""
    for name in wanted:
        if not any(spec.name == name for spec in signature.outputs):
            known = ", ".join(f'"{spec.name}"' for spec in signature.outputs)
            raise invalid(f'outputs: the model has no output "{name}"; it gives {known}')


def _wrong_shape(name: str, have: tuple[int, ...], want: tuple[int, ...]) -> Exception:
    return invalid(f'inputs "{name}": shape is {list(have)}, the model takes {list(want)}')
