"""Classifies images that the demo's model has not seen, through the gateway, with every version.

    PENSTOCK_URL=… PENSTOCK_TOKEN_FILE=… python deploy/demo/classify.py [REPOSITORY]

The answers are compared, image by image, with the model's own when it is run here without Penstock.
Exits with status 1 if any differs.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import torch
from digits import images
from rich.console import Console
from rich.table import Table
from train import REPOSITORY

Scores = Callable[[np.ndarray], np.ndarray]

MODEL = "digits"
# What stands behind each version, and how it is run without Penstock.
VERSIONS = {"1": "PyTorch", "2": "ONNX", "3": "ONNX int8"}


@dataclass(frozen=True)
class Run:
    """All images through the gateway, one request each: predictions and seconds."""

    predicted: np.ndarray
    latencies: np.ndarray


def main() -> None:
    repository = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY
    url, file = os.environ.get("PENSTOCK_URL"), os.environ.get("PENSTOCK_TOKEN_FILE")
    if not url or not file:
        sys.exit("set PENSTOCK_URL and PENSTOCK_TOKEN_FILE; `penstock up` does so for its --then")
    token = Path(file).read_text().strip()
    _, pixels, _, labels = images()
    title = f"{len(labels)} images that the model has not seen, one request each"
    table = Table(title=title, min_width=79)
    table.add_column("version")
    for column in ("accuracy", "alone", "differ", "p50 ms", "p90 ms", "p99 ms"):
        table.add_column(column, justify="right")
    differing = 0
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
        for version, format_ in VERSIONS.items():
            run = through_the_gateway(client, version, pixels)
            own = own_scores(repository, version)(pixels).argmax(1)
            differ = int((run.predicted != own).sum())
            differing += differ
            table.add_row(
                f"{version} ({format_})",
                f"{(run.predicted == labels).mean():.2%}",
                f"{(own == labels).mean():.2%}",
                str(differ),
                *(f"{np.percentile(run.latencies, p) * 1000:.2f}" for p in (50, 90, 99)),
            )
    Console().print(table)
    if differing:
        sys.exit(f"{differing} answers through the gateway are not the model's own")
    print("Accuracy through the gateway equals the model's own, to the image.")


def through_the_gateway(client: httpx.Client, version: str, pixels: np.ndarray) -> Run:
    predicted, latencies = [], []
    for image in pixels:
        tensor = {"name": "pixels", "datatype": "FP32", "shape": [1, 8, 8]}
        body = {"inputs": [{**tensor, "data": image.ravel().tolist()}]}
        began = time.perf_counter()
        answer = client.post(f"/v2/models/{MODEL}/versions/{version}/infer", json=body)
        latencies.append(time.perf_counter() - began)
        if answer.status_code != httpx.codes.OK:
            sys.exit(f"version {version} answered {answer.status_code}: {answer.text}")
        predicted.append(int(np.argmax(answer.json()["outputs"][0]["data"])))
    return Run(np.array(predicted), np.array(latencies))


def own_scores(repository: Path, version: str) -> Scores:
    """The model itself, from the same artifact that is served."""
    folder = repository / MODEL / version
    if version == "1":
        program = torch.export.load(folder / "model.pt2").module()
        return lambda pixels: program(torch.from_numpy(pixels))["scores"].detach().numpy()
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    return lambda pixels: np.asarray(session.run(["scores"], {"pixels": pixels})[0])


if __name__ == "__main__":
    main()
