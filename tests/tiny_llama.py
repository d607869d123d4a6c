"""A Llama of random weights and a tokeniser of single bytes, as a folder that can be served.

Written by hand: importing torch and transformers for it would take longer than the tests.
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

LAYERS, WIDTH, INNER = 2, 32, 64
SPECIAL = ("<s>", "</s>")


def write(folder: Path) -> None:
    """Some 150 KB; the chat template is the messages' contents, one after the other."""
    vocabulary = write_tokeniser(folder)
    write_config(
        folder,
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
    )
    save_file(_weights(vocabulary), folder / "model.safetensors", {"format": "pt"})


def write_tokeniser(folder: Path) -> int:
    """Makes the folder; how many tokens there are: two special ones and the bytes."""
    folder.mkdir(parents=True)
    letters = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokeniser = Tokenizer(models.BPE(vocab={each: i for i, each in enumerate(letters)}, merges=[]))
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    tokeniser.add_special_tokens(list(SPECIAL))
    tokeniser.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        chat_template="{% for message in messages %}{{ message.content }}{% endfor %}",
    )
    return len(letters)


def write_config(folder: Path, **sizes: object) -> None:
    _write_json(
        folder / "config.json",
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        dtype="float32",
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        **sizes,
    )


def _weights(vocabulary: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0.0, 0.1, shape).astype(np.float32)

    found = {
        "lm_head.weight": drawn(vocabulary, WIDTH),
        "model.embed_tokens.weight": drawn(vocabulary, WIDTH),
        "model.norm.weight": np.ones(WIDTH, np.float32),
    }
    for layer in range(LAYERS):
        place = f"model.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"{place}.{norm}.weight"] = np.ones(WIDTH, np.float32)
        for projection in "qkvo":
            found[f"{place}.self_attn.{projection}_proj.weight"] = drawn(WIDTH, WIDTH)
        for name, shape in (
            ("gate", (INNER, WIDTH)),
            ("up", (INNER, WIDTH)),
            ("down", (WIDTH, INNER)),
        ):
            found[f"{place}.mlp.{name}_proj.weight"] = drawn(*shape)
    return found


def _write_json(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(fields))
