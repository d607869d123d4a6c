"""The demo's network: how it is trained, and how it becomes the three artifacts."""

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

INK = 16.0  # the brightest pixel
BATCH = 64
MOST_ROWS = 4096  # the largest batch that the PyTorch program promises to take


class Digits(nn.Module):
    """Pixels [n, 8, 8] to a score for each of the ten digits [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(512, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": self.layers(pixels.unsqueeze(1) / INK)}


def train(images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> Digits:
    """Trains with Adam; the same on every run of one machine."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # sums are then taken in the same order whatever the machine
    torch.use_deterministic_algorithms(True)
    pixels, wanted = torch.from_numpy(images), torch.from_numpy(labels)
    model = Digits()
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(pixels)).split(BATCH):
            loss = nn.functional.cross_entropy(model(pixels[rows])["scores"], wanted[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def scores(model: Digits, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(images))["scores"].numpy()


def export_torch(model: Digits, path: Path) -> None:
    torch.export.save(_program(model), path)


def export_onnx(model: Digits, path: Path, images: np.ndarray) -> float:
    """Writes the ONNX program; the largest difference from PyTorch over the images' scores."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter uses what PyTorch has deprecated
        program = torch.onnx.export(_program(model), verbose=False, output_names=["scores"])
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    program.save(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(["scores"], {"pixels": images})[0]
    return float(np.abs(np.asarray(found) - scores(model, images)).max())


def quantise(source: Path, path: Path, images: np.ndarray) -> None:
    """Static quantisation to 8 bits; ranges come from the (training) images given."""
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared))
        quantize_static(
            str(prepared),
            str(path),
            _Calibration(images),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    onnx.checker.check_model(str(path))


def _program(model: Digits) -> torch.export.ExportedProgram:
    rows = torch.export.Dim("rows", min=1, max=MOST_ROWS)
    return torch.export.export(
        model, (torch.zeros(2, 8, 8),), dynamic_shapes={"pixels": {0: rows}}, strict=False
    )


class _Calibration(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self._batches = iter(np.array_split(images, len(images) // BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": batch}
