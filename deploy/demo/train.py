"""Makes the demo's model repository: one small network in three formats, in seconds.

    python deploy/demo/train.py [FOLDER]

`digits/1` is the PyTorch program, `digits/2` the same as ONNX, `digits/3` that one quantised to
8 bits. Nothing is done if the folder was made by this very code with these very packages.
"""

import hashlib
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent / ".penstock" / "demo" / "models"
MADE_BY = ("torch", "onnx", "onnxscript", "onnxruntime", "scikit-learn", "numpy")
EPOCHS = 15
# How far the ONNX program's scores may be from PyTorch's; both are FP32.
TOLERANCE = 1e-4

MODEL_YAML = """\
# All versions: requests are gathered for at most 2 ms, into batches of at most 64 images.
batching: {max: 64, maxDelay: 2ms}
"""


def main() -> None:
    repository = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY
    # Outside the repository, which belongs to the models.
    stamp = repository.parent / "digits.made-by"
    wanted = digest()
    if stamp.exists() and stamp.read_text() == wanted and (repository / "digits").is_dir():
        return
    # Beside the repository and moved there whole: a running backend watches the folder.
    unfinished = repository.parent / "digits.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    began = time.monotonic()
    print("Training the demo's model, a small network that reads handwritten digits:")
    make(unfinished)
    repository.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(repository / "digits", ignore_errors=True)
    unfinished.rename(repository / "digits")
    stamp.write_text(wanted)
    print(f"  in {repository / 'digits'}, made in {time.monotonic() - began:.0f} s")


def digest() -> str:
    """Of the code and the packages that shape the models."""
    made_by = hashlib.sha256()
    for source in ("digits.py", "network.py", "train.py"):
        made_by.update((HERE / source).read_bytes())
    made_by.update(repr([version(package) for package in MADE_BY]).encode())
    return made_by.hexdigest()


def make(folder: Path) -> None:
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


if __name__ == "__main__":
    main()
