"""A Llama that says its prompt again, letter for letter, with weights made by hand.

One layer with one head that always looks so many tokens back, whatever they are: its queries and
keys are the same for all tokens, turned against each other, so that their rotary positions agree at
that distance and nowhere else. What it finds there outweighs the token itself.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests import tiny_llama

WIDTH = 320  # a place for each token, and one that all of them have
THETA = 10_000.0


def write(folder: Path, period: int, *, positions: int = 4096) -> None:
    """Some 2 MB. A prompt of `period` letters is repeated without end, at temperature 0."""
    vocabulary = tiny_llama.write_tokeniser(folder)
    tiny_llama.write_config(
        folder,
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=WIDTH,
        rope_theta=THETA,
        max_position_embeddings=positions,
    )
    save_file(_weights(vocabulary, period - 1), folder / "model.safetensors", {"format": "pt"})


def _weights(vocabulary: int, distance: int) -> dict[str, np.ndarray]:
    tokens = np.eye(vocabulary, WIDTH, dtype=np.float32)
    tokens[:, -1] = 1.0
    norm = np.ones(WIDTH, np.float32)
    loudness = np.sqrt(WIDTH / 2)  # of what comes out of the norm: two of WIDTH places are 1
    angles = distance * THETA ** (-np.arange(0, WIDTH, 2) / WIDTH)
    query, key, value, out = (np.zeros((WIDTH, WIDTH), np.float32) for _ in range(4))
    query[:, -1] = np.concatenate([np.cos(angles), -np.sin(angles)]) / loudness * 16
    key[: WIDTH // 2, -1] = 1.0 / loudness * 16
    np.fill_diagonal(value, 1.0 / loudness)
    np.fill_diagonal(out[:vocabulary, :vocabulary], 8.0)
    layer = "model.layers.0"
    return {
        "model.embed_tokens.weight": tokens,
        "model.norm.weight": norm,
        "lm_head.weight": np.eye(vocabulary, WIDTH, dtype=np.float32),
        f"{layer}.input_layernorm.weight": norm,
        f"{layer}.post_attention_layernorm.weight": norm,
        f"{layer}.self_attn.q_proj.weight": query,
        f"{layer}.self_attn.k_proj.weight": key,
        f"{layer}.self_attn.v_proj.weight": value,
        f"{layer}.self_attn.o_proj.weight": out,
        f"{layer}.mlp.gate_proj.weight": np.zeros((8, WIDTH), np.float32),
        f"{layer}.mlp.up_proj.weight": np.zeros((8, WIDTH), np.float32),
        f"{layer}.mlp.down_proj.weight": np.zeros((WIDTH, 8), np.float32),
    }
