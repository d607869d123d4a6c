"""A real sentence encoder behind `/v1/embeddings`: `python -m benchmarks.embeddings [torch onnx]`.

all-MiniLM-L6-v2, exported for each runtime, takes texts by its own tokeniser; what OpenAI's client
gets from a mesh is held against sentence-transformers on the same weights.
"""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openai

from benchmarks import minilm
from chaos.mesh import Mesh

EXPORTED = Path(".penstock/benchmarks")
TEXTS = (
    "A man is eating food.",
    "Someone is having a meal.",
    "The stock market fell sharply today.",
    "Über Nacht fiel ein halber Meter Schnee. " * 15,
)


def main(runtimes: list[str]) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    from sentence_transformers import SentenceTransformer

    weights = minilm.weights()
    reference = SentenceTransformer(str(weights), device="cpu").encode(
        list(TEXTS), normalize_embeddings=True
    )
    with TemporaryDirectory() as folder, Mesh(Path(folder)) as mesh:
        for runtime in runtimes:
            _write(Path(folder, runtime, f"minilm-{runtime}"), runtime, weights)
            mesh.start_backend(runtime, Path(folder, runtime), runtime=runtime)
        mesh.wait_ready(*[(f"minilm-{runtime}", "1") for runtime in runtimes])
        token = mesh.token("infer:*")
        client = openai.OpenAI(base_url=f"{mesh.url}/v1", api_key=token, max_retries=0)
        for runtime in runtimes:
            answer = client.embeddings.create(model=f"minilm-{runtime}", input=list(TEXTS))
            vectors = np.array([each.embedding for each in answer.data], np.float32)
            apart = np.abs(vectors - reference).max()
            alike, unlike = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
            print(
                f"{runtime}: {vectors.shape[1]} dimensions, at most {apart:.1e} from the reference;"
                f" alike {alike:.3f}, unlike {unlike:.3f}"
            )


def _write(model: Path, runtime: str, weights: Path) -> None:
    artifact = minilm.artifact(EXPORTED, runtime)
    model.mkdir(parents=True)
    shutil.copy(artifact, model)
    shutil.copy(weights / "tokenizer.json", model)
    (model / "model.yaml").write_text(f"tokenizer: {{maxTokens: {minilm.LONGEST}}}\n")


if __name__ == "__main__":
    main(sys.argv[1:] or ["torch", "onnx"])
