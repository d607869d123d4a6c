"""Makes the demo's models: a small network in three formats, and a tiny language model.

    python deploy/demo/train.py [FOLDER [digits|assistant]]

`models/digits/1` is the PyTorch program, `digits/2` the same as ONNX, `digits/3` that one quantised
to 8 bits; `language/assistant` is a folder as Hugging Face has them, with adapters in it. What was
made by this very code with these very packages is left as it is.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
STATE = HERE.parent.parent / ".penstock"
FOLDER = STATE / "demo"
REPOSITORY = FOLDER / "models"
EPOCHS = 15
# How far the ONNX program's scores may be from PyTorch's; both are FP32.
TOLERANCE = 1e-4
# As many on every machine: sums are then taken in the same order.
THREADS = 2
# Chats that the language model learns, and those that it is examined in.
LEARNT, EXAMINED = 12_000, 200

MODEL_YAML = """\
# All versions: requests are gathered for at most 2 ms, into batches of at most 64 images.
batching: {max: 64, maxDelay: 2ms}
"""


@dataclass(frozen=True)
class Product:
    """A model's folder below the demo's, and what shapes it: sources here, packages."""

    place: str
    what: str
    make: Callable[[Path], None]
    sources: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def digest(self) -> str:
        made_by = hashlib.sha256()
        for source in ("train.py", *self.sources):
            made_by.update((HERE / source).read_bytes())
        made_by.update(repr([version(package) for package in self.packages]).encode())
        return made_by.hexdigest()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if folder == FOLDER:
        # Secrets will lie beside the models, and whoever makes the folder says who may look.
        STATE.mkdir(mode=0o700, exist_ok=True)
        STATE.chmod(0o700)
    # Threads that wait for each other sleep meanwhile: others may need the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for product in PRODUCTS:
        if sys.argv[2:] in ([], [Path(product.place).name]):
            make(product, folder)


def make(product: Product, folder: Path) -> None:
    """Unless it is there already."""
    place = folder / product.place
    # Outside the repository, which belongs to the models.
    stamp = folder / f"{place.name}.made-by"
    wanted = product.digest
    if stamp.exists() and stamp.read_text() == wanted and place.is_dir():
        return
    # Beside the repository and moved there whole: a running backend watches the folder.
    unfinished = folder / f"{place.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    began = time.monotonic()
    print(f"Training {product.what}:", flush=True)
    product.make(unfinished)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    unfinished.rename(place)
    stamp.write_text(wanted)
    print(f"  in {place}, made in {time.monotonic() - began:.0f} s", flush=True)


def make_digits(folder: Path) -> None:
    # Imported here, so that a run with nothing to do doesn't wait for PyTorch.
    import digits
    import network

    train_images, test_images, train_labels, test_labels = digits.images()
    model = network.train(train_images, train_labels, EPOCHS, digits.SEED)
    right = (network.scores(model, test_images).argmax(1) == test_labels).sum()
    print(f"  reads {right} of {len(test_labels)} images that it has not seen")
    for number in ("1", "2", "3"):
        (folder / number).mkdir(parents=True)
    network.export_torch(model, folder / "1" / "model.pt2")
    apart = network.export_onnx(model, folder / "2" / "model.onnx", test_images)
    if apart > TOLERANCE:
        raise SystemExit(f"the ONNX program's scores are {apart:.1e} away from PyTorch's")
    network.quantise(folder / "2" / "model.onnx", folder / "3" / "model.onnx", train_images)
    (folder / "model.yaml").write_text(MODEL_YAML)


def make_assistant(folder: Path) -> None:
    import adapters
    import assistant
    import chats
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(THREADS)

    examined = chats.chats(EXAMINED, assistant.SEED + 1)
    learnt = chats.chats(LEARNT, assistant.SEED)
    tokeniser = assistant.make_tokeniser(learnt)
    model = assistant.train(tokeniser, learnt)
    right = assistant.right_answers(model, [assistant.lesson(tokeniser, each) for each in examined])
    print(f"  answers {right} of {len(examined)} chats as it was taught", flush=True)
    assistant.save(model, tokeniser, folder)
    for name, voice in adapters.VOICES.items():
        with adapters.Adapter(model) as adapter:
            adapter.learn(tokeniser, voice)
            adapter.save(folder / "adapters" / name)
        print(f"  adapter {name}", flush=True)


PRODUCTS = (
    Product(
        "models/digits",
        "a small network that reads handwritten digits",
        make_digits,
        ("digits.py", "network.py"),
        ("torch", "onnx", "onnxscript", "onnxruntime", "scikit-learn", "numpy"),
    ),
    Product(
        "language/assistant",
        "a tiny language model that knows a village, in a minute and a half on two cores",
        make_assistant,
        ("village.py", "chats.py", "assistant.py", "adapters.py"),
        ("torch", "transformers", "tokenizers", "safetensors"),
    ),
)

if __name__ == "__main__":
    main()
