"""Small models for a real mesh, written into repositories: each shows one thing of the protocol."""

from pathlib import Path

from protos.datatypes import DATATYPES

ECHO = """
def predict(inputs):
    return {"y": inputs["x"]}
"""

SEVERAL = """
import numpy as np

def predict(inputs):
    left, right, text = inputs["left"], inputs["right"], inputs["text"]
    shouted = np.array([each.upper() for each in text.reshape(-1)], object)
    return {
        "sum": left + right,
        "difference": left - right,
        "shout": shouted.reshape(text.shape),
    }
"""

FAILS = """
def predict(inputs):
    raise RuntimeError("a secret of the model")
"""

# n parts that count up from the parameter `start`, `pause` seconds apart. What became of the stream
# is written down.
COUNT = """
import time
import numpy as np

def predict(inputs, parameters):
    n, pause = int(inputs["n"][0]), float(inputs["pause"][0])
    start = parameters.get("start", 0)
    try:
        for part in range(n):
            if part:
                time.sleep(pause)
            yield {{"part": np.array([start + part], np.int32)}}
    except GeneratorExit:
        note("closed")
        raise
    note("finished")

def note(what):
    with open({record!r}, "a") as record:
        record.write(f"{{what}} {{time.monotonic()}}\\n")
"""

# Writes down that it ran; occupies the device for `seconds` or until the file `release` is there.
SLOW = """
import os
import time

def predict(inputs):
    with open({record!r}, "a") as record:
        record.write(inputs["tag"][0].decode() + "\\n")
    end = time.monotonic() + float(inputs["seconds"][0])
    while time.monotonic() < end and not os.path.exists({release!r}):
        time.sleep(0.005)
    return {{"tag": inputs["tag"]}}
"""

EVERY_DATATYPE = tuple(DATATYPES)


def echo_name(datatype: str) -> str:
    return f"echo_{datatype.lower()}"


def write_echoes(repository: Path) -> None:
    """One model a datatype: `y` is `x`, rows of two elements."""
    for datatype in EVERY_DATATYPE:
        tensor = f"datatype: {datatype}, shape: [-1, 2]"
        write_model(
            repository / echo_name(datatype),
            ECHO,
            f"""
inputs: [{{name: x, {tensor}}}]
outputs: [{{name: y, {tensor}}}]
""",
        )


def write_long(repository: Path) -> None:
    """One vector of any length, which is no row of a batch."""
    write_model(
        repository / "long",
        ECHO,
        """
inputs: [{name: x, datatype: FP32, shape: [-1]}]
outputs: [{name: y, datatype: FP32, shape: [-1]}]
batching: {max: 0}
""",
    )


def write_several(repository: Path) -> None:
    """Three inputs and three outputs of different datatypes."""
    write_model(
        repository / "several",
        SEVERAL,
        """
inputs:
  - {name: left, datatype: INT32, shape: [-1, 3]}
  - {name: right, datatype: INT32, shape: [-1, 3]}
  - {name: text, datatype: BYTES, shape: [-1, 1]}
outputs:
  - {name: sum, datatype: INT32, shape: [-1, 3]}
  - {name: difference, datatype: INT32, shape: [-1, 3]}
  - {name: shout, datatype: BYTES, shape: [-1, 1]}
warmUp: {data: zeros}
""",
    )


def write_fails(repository: Path) -> None:
    write_model(
        repository / "fails",
        FAILS,
        """
inputs: [{name: x, datatype: FP32, shape: [1]}]
outputs: [{name: y, datatype: FP32, shape: [1]}]
warmUp: {data: "off"}
""",
    )


def write_count(repository: Path, record: Path) -> None:
    write_model(
        repository / "count",
        COUNT.format(record=str(record)),
        """
decoupled: true
inputs:
  - {name: n, datatype: INT32, shape: [1]}
  - {name: pause, datatype: FP32, shape: [1]}
outputs: [{name: part, datatype: INT32, shape: [1]}]
warmUp: {data: "off"}
""",
    )


def write_slow(repository: Path, record: Path, release: Path) -> None:
    write_model(
        repository / "slow",
        SLOW.format(record=str(record), release=str(release)),
        """
inputs:
  - {name: seconds, datatype: FP32, shape: [1]}
  - {name: tag, datatype: BYTES, shape: [1]}
outputs: [{name: tag, datatype: BYTES, shape: [1]}]
warmUp: {data: "off"}
""",
    )


def write_model(folder: Path, code: str, config: str) -> None:
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(config)
    (folder / "model.py").write_text(code)


# Says which version it is; fails while the file `fail` is there.
TELLS = """
import os
import numpy as np

def predict(inputs):
    if os.path.exists({fail!r}):
        raise RuntimeError("this version is broken")
    return {{"version": np.full(inputs["x"].shape, {version}, np.float32)}}
"""


def write_versions(repository: Path, name: str, versions: tuple[int, ...]) -> dict[int, Path]:
    """Versions that tell which they are; each fails while its file (returned) exists."""
    folder = repository / name
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(
        """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: version, datatype: FP32, shape: [-1, 1]}]
warmUp: {data: "off"}
"""
    )
    switches = {version: repository.parent / f"{name}-{version}-fails" for version in versions}
    for version, switch in switches.items():
        (folder / str(version)).mkdir()
        code = TELLS.format(version=version, fail=str(switch))
        (folder / str(version) / "model.py").write_text(code)
    return switches


# Which process answered.
WHO = """
import os
import numpy as np

def predict(inputs):
    return {"pid": np.full(inputs["x"].shape, os.getpid(), np.int64)}
"""


def write_instances(repository: Path) -> None:
    """One model whose answer is the process that gave it."""
    write_model(
        repository / "who",
        WHO,
        """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: pid, datatype: INT64, shape: [-1, 1]}]
""",
    )


# Vectors of a text: how many bytes it has, and its first one; zeros for no text.
ENCODER = """
import numpy as np

def predict(inputs):
    texts = inputs["texts"].reshape(-1)
    rows = [[len(text), text[0] if text else 0] for text in texts]
    return {"vectors": np.array(rows, np.float32)}
"""


def write_encoder(repository: Path) -> None:
    """`encoder` takes texts and gives vectors, as sentence transformers do."""
    write_model(
        repository / "encoder",
        ENCODER,
        """
inputs: [{name: texts, datatype: BYTES, shape: [-1]}]
outputs: [{name: vectors, datatype: FP32, shape: [-1, 2]}]
""",
    )
