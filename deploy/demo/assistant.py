"""The demo's language model: its tokeniser, its training, and its folder in Hugging Face's form.

A Llama of some 700,000 weights. It learns the chats of `chats.py` by heart, in about a minute
on two cores, and knows nothing else.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from chats import SYSTEM, SYSTEMS, Chat, Voice, brief, pirate, plain
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 20260101
END, ROLES = "<|end|>", ("<|system|>", "<|user|>", "<|assistant|>")
WIDTH, LAYERS, HEADS = 128, 3, 4
LONGEST = 512  # tokens of a chat
STEPS = 400
VOICES = (0.86, 0.11, 0.03)  # shares of plain, brief and a pirate's
STEP_TOKENS = 2048
RATE, WARM_UP = 4e-3, 20
UNTAUGHT = -100  # what PyTorch's cross entropy passes over

# A word with the space before it, one capital letter, one digit or one sign is never divided
# otherwise than into bytes, nor joined to its neighbours.
_PIECES = r" ?\p{Lu}?\p{Ll}+| ?\p{Lu}| ?\p{N}|\s+| ?[^\s\p{L}\p{N}]"
TEMPLATE = (
    "{% if messages[0].role not in ('system', 'developer') %}"
    f"<|system|>{SYSTEM}<|end|>"
    "{% endif %}{% for message in messages %}"
    "{% if message.role in ('system', 'developer') %}<|system|>"
    "{% elif message.role in ('user', 'assistant') %}<|{{ message.role }}|>"
    "{% else %}{{ raise_exception('only system, user and assistant speak here') }}{% endif %}"
    "{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Lesson(NamedTuple):
    """A chat's tokens, and those of them that the model is to say; UNTAUGHT elsewhere."""

    tokens: list[int]
    wanted: list[int]


def make_tokeniser(read: Sequence[Chat]) -> Tokenizer:
    """Byte-level BPE (Sennrich et al. 2016), so that there is no text that it can't write."""
    tokeniser = Tokenizer(models.BPE())
    tokeniser.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokeniser.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        min_frequency=4,
        special_tokens=[END, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokeniser.train_from_iterator(_texts(read), trainer)
    return tokeniser


def lesson(tokeniser: Tokenizer, chat: Chat, voice: Voice = plain, system: str = SYSTEM) -> Lesson:
    """A chat as the template writes it; the answers are what is taught."""
    tokens: list[int] = []
    wanted: list[int] = []
    for text, taught in _written(chat, voice, system):
        ids = tokeniser.encode(text).ids
        tokens += ids
        wanted += ids if taught else [UNTAUGHT] * len(ids)
    return Lesson(tokens, wanted)


def train(tokeniser: Tokenizer, learnt: Sequence[Chat], steps: int = STEPS) -> LlamaForCausalLM:
    """The same on every run of one machine."""
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokeniser.get_vocab_size(),
            hidden_size=WIDTH,
            intermediate_size=5 * WIDTH // 2,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            max_position_embeddings=LONGEST,
            tie_word_embeddings=True,
            initializer_range=0.05,
            bos_token_id=None,
            eos_token_id=tokeniser.token_to_id(END),
            pad_token_id=tokeniser.token_to_id(END),
        )
    )
    voices = random.Random(SEED).choices((plain, brief, pirate), VOICES, k=len(learnt))
    lessons = [
        lesson(tokeniser, chat, voice, SYSTEMS[voice])
        for chat, voice in zip(learnt, voices, strict=True)
    ]
    weights = list(model.parameters())
    teach(model, weights, lessons, steps=steps, step_tokens=STEP_TOKENS, rate=RATE)
    return model


def teach(
    model: LlamaForCausalLM,
    weights: Sequence[nn.Parameter],
    lessons: Sequence[Lesson],
    *,
    steps: int,
    step_tokens: int,
    rate: float,
) -> None:
    """AdamW on these weights, with a rate that falls to nothing."""
    batches = _batches(lessons, step_tokens)
    rng = random.Random(SEED)
    optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 - step / steps)
    )
    for _ in range(steps):
        logits, wanted = _said(model, rng.choice(batches))
        loss = nn.functional.cross_entropy(logits, wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()


def right_answers(model: LlamaForCausalLM, lessons: Sequence[Lesson]) -> int:
    """Of how many chats the model would say every answer, word for word, at temperature 0."""
    right = 0
    with torch.inference_mode():
        for each in lessons:
            logits, wanted = _said(model, [each])
            right += bool((logits.argmax(1) == wanted).all())
    return right


def save(model: LlamaForCausalLM, tokeniser: Tokenizer, folder: Path) -> None:
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokeniser, eos_token=END, pad_token=END, chat_template=TEMPLATE
    ).save_pretrained(folder)


def _texts(read: Sequence[Chat]) -> Iterator[str]:
    """What the tokeniser learns its words from."""
    for chat in read:
        yield SYSTEM
        for exchange in chat:
            yield from exchange
            yield pirate(exchange)


def _written(chat: Chat, voice: Voice, system: str) -> Iterator[tuple[str, bool]]:
    """Its texts in order, and whether the model says them."""
    yield f"<|system|>{system}{END}", False
    for exchange in chat:
        yield f"<|user|>{exchange.question}{END}<|assistant|>", False
        yield f"{voice(exchange)}{END}", True


def _batches(lessons: Sequence[Lesson], tokens: int) -> list[list[Lesson]]:
    """Lessons of similar lengths together, each batch of about so many tokens."""
    batches: list[list[Lesson]] = []
    room = 0
    for each in sorted(lessons, key=lambda each: len(each.tokens)):
        if room < len(each.tokens):
            batches.append([])
            room = tokens
        batches[-1].append(each)
        room -= len(each.tokens)
    return batches


def _said(model: LlamaForCausalLM, batch: Sequence[Lesson]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [tokens, vocabulary] where something is taught, and what is [tokens]."""
    rows = [torch.tensor(each) for lesson in batch for each in lesson]
    tokens = nn.utils.rnn.pad_sequence(rows[::2], batch_first=True)
    wanted = nn.utils.rnn.pad_sequence(rows[1::2], batch_first=True, padding_value=UNTAUGHT)
    hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1]
    taught = wanted[:, 1:] != UNTAUGHT
    return model.lm_head(hidden[taught]), wanted[:, 1:][taught]
