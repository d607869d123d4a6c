"""Sentences of streamed text: the same ones however the text came."""

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.output.sentences import LONGEST, Sentences
from policies.pii.steps import Steps, at_once


class Plain:
    def push(self, piece: str) -> str:
        return piece

    def flush(self) -> Steps[str]:
        yield from ()
        return ""


def cut(*pieces: str) -> list[str]:
    judged: list[str] = []
    sentences = Sentences(Plain(), judged)
    given = "".join([sentences.push(piece) for piece in pieces]) + at_once(sentences.flush())
    assert given == "".join(pieces) == "".join(judged)
    return judged


def test_a_sentence_ends_with_its_stop_and_a_blank():
    text = 'He said "Stop!" and left. Was it 3.5? 是的。好 \nNew line\nend'
    assert cut(text) == [
        *('He said "Stop!" ', "and left. ", "Was it 3.5? ", "是的。", "好 \n", "New line\n", "end"),
    ]


def test_what_has_not_ended_is_held_back():
    sentences = Sentences(Plain(), judged := [])
    assert sentences.push("I am not done.") == ""
    assert sentences.push(" Now") == "I am not done. "
    assert judged == ["I am not done. "]


def test_endless_text_is_cut_by_length():
    assert [len(each) for each in cut("x" * (2 * LONGEST + 5))] == [LONGEST, LONGEST, 5]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Yes", ". ", "!", '"', " ", "\n", "x" * 700, "。", "…", ")"]), max_size=20
    ),
    st.data(),
)
def test_the_same_text_makes_the_same_sentences_however_it_came(words: list[str], data):
    text = "".join(words)
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert cut(*pieces) == cut(text)
