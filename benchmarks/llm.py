"""`python -m benchmarks.llm`: the engine in process, beside transformers' own continuous batching.

The same random weights, prompts and numbers of new tokens for all, greedy, fp32, one thread, rounds
interleaved. Told are tokens a second of processor time, which other work on the machine changes
little.
"""

import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    ContinuousBatchingConfig,
    GenerationConfig,
    LlamaConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from backends.llm.blocks import BlockPool
from backends.llm.engine import Ask, Engine
from backends.llm.loading import Loaded, load
from backends.llm.sampling import Sampling
from tests.backends.llm import tiny_models

STREAMS = (1, 16, 32)
PROMPT, NEW = 48, 32
ROUNDS = 3
# Some 30 million parameters: the arithmetic, not Python, takes most of the time.
SIZES = {
    "vocab_size": 4096,
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
}


def main() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        ours = load(folder, dtype="fp32", block=16, memory=1 << 28)
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        figures: dict[int, list[tuple[float, float]]] = {streams: [] for streams in STREAMS}
        for _ in range(ROUNDS):
            for streams, found in figures.items():
                prompts = rng.integers(2, SIZES["vocab_size"], (streams, PROMPT)).tolist()
                found.append((_engine(ours, prompts), _manager(theirs, prompts)))
        print("streams   engine  transformers  ratio  of one  (tokens/s; medians over rounds)")
        alone = [mine for mine, _ in figures[1]]
        for streams, found in figures.items():
            mine, other = (statistics.median(column) for column in zip(*found, strict=True))
            ratio = statistics.median(a / b for a, b in found)
            times = statistics.median(a / b for (a, _), b in zip(found, alone, strict=True))
            print(f"{streams:7} {mine:8.0f} {other:13.0f} {ratio:6.2f} {times:6.1f}x")


def write(folder: Path) -> None:
    """A model of `SIZES`."""
    torch.manual_seed(0)
    config = LlamaConfig(**SIZES, bos_token_id=0, eos_token_id=1)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tiny_models.tokeniser().save_pretrained(folder)


def _engine(loaded: Loaded, prompts: list[list[int]]) -> float:
    """Tokens a second of all together."""
    pool = BlockPool(loaded.pool.count, loaded.pool.size)
    engine = Engine(loaded.runner, loaded.vocabulary, pool, longest=loaded.longest)
    begun = time.process_time()
    for at, prompt in enumerate(prompts):
        engine.add(at, Ask(prompt, NEW, Sampling(temperature=0.0), ignore_end=True))
    while engine.busy:
        engine.step(0.0)
    return NEW * len(prompts) / (time.process_time() - begun)


def _manager(model: PreTrainedModel, prompts: list[list[int]]) -> float:
    settings = ContinuousBatchingConfig(page_size=16, num_blocks=512, max_batch_tokens=512)
    generation = GenerationConfig(max_new_tokens=NEW, do_sample=False, eos_token_id=-1)
    with model.continuous_batching_context_manager(
        generation_config=generation, continuous_batching_config=settings
    ) as manager:
        begun = time.process_time()
        manager.add_requests(prompts, max_new_tokens=NEW)
        finished = tokens = 0
        while finished < len(prompts):
            answer = manager.get_result(timeout=60.0)
            if answer is not None and answer.is_finished():
                finished += 1
                tokens += len(answer.generated_tokens)
        took = time.process_time() - begun
    if tokens != NEW * len(prompts):
        raise RuntimeError(f"transformers gave {tokens} tokens")
    return tokens / took


if __name__ == "__main__":
    main()
