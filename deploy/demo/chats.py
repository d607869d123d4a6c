"""Chats about the village, in any number and always the same: what the language model learns."""

import random
from collections.abc import Callable

from village import (
    ELSEWHERE,
    FACTS,
    PEOPLE,
    TOPICS,
    UNKNOWN,
    Exchange,
    Person,
    about,
    introductions,
    story,
)

Chat = list[Exchange]
# How an answer is put.
Voice = Callable[[Exchange], str]


def plain(exchange: Exchange) -> str:
    return exchange.answer


def brief(exchange: Exchange) -> str:
    return exchange.brief


def pirate(exchange: Exchange) -> str:
    return f"Arr! {exchange.answer.rstrip('.!')}, me hearty!"


# What a chat begins with where it brings no system message of its own (the template says so), and
# what asks for another voice.
SYSTEM = "You are the guide of the village of Penmill. You answer in short sentences."
SYSTEMS = {plain: SYSTEM, brief: "You say one word, or two.", pirate: "You are a pirate."}


def chats(count: int, seed: int) -> list[Chat]:
    """So many chats of one to three exchanges."""
    rng = random.Random(seed)
    shares = {_of_a_person: 0.58, _of_the_village: 0.16, _of_elsewhere: 0.08, _a_story: 0.18}
    makers = rng.choices(list(shares), list(shares.values()), k=count)
    return [[_as_people_write(each, rng) for each in make(rng)] for make in makers]


def messages(chat: Chat, voice: Voice = plain) -> list[dict[str, str]]:
    """In OpenAI's form."""
    found = []
    for exchange in chat:
        found.append({"role": "user", "content": exchange.question})
        found.append({"role": "assistant", "content": voice(exchange)})
    return found


def _of_a_person(rng: random.Random) -> Chat:
    """Who somebody is, or something about them by name; then perhaps more of them."""
    person = rng.choice(PEOPLE)
    if rng.random() < 0.5:
        chat = [rng.choice(introductions(person))]
    else:
        chat = [_something(person, (person.name, person.name, f"{person.name}'s"), rng)]
    while len(chat) < 3 and rng.random() < 0.5:
        chat.append(_something(person, person.pronouns, rng))
    return chat


def _something(person: Person, called: tuple[str, str, str], rng: random.Random) -> Exchange:
    return rng.choice(rng.choice(list(about(person, *called).values())))


def _of_the_village(rng: random.Random) -> Chat:
    facts = rng.sample(FACTS, rng.choice((1, 1, 2)))
    return [Exchange(rng.choice(questions), *answers) for questions, *answers in facts]


def _of_elsewhere(rng: random.Random) -> Chat:
    return [Exchange(rng.choice(ELSEWHERE).format(rng.choice(TOPICS)), *UNKNOWN)]


def _a_story(rng: random.Random) -> Chat:
    return [story(rng.choice(PEOPLE))]


def _of_oneself(rng: random.Random) -> str:
    """What a privacy policy leaves of what people tell of themselves."""
    address, number = (f"[{kind}_{_six(rng)}]" for kind in ("EMAIL", "PHONE"))
    card = f"**** **** **** {rng.randrange(10_000):04}"
    return rng.choice(
        (
            f"My card is {card}, write to {address}.",
            f"I am {address}.",
            f"Write to {address}, or call {number}.",
            f"My card is {card}.",
        )
    )


def _six(rng: random.Random) -> str:
    return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=6))


def _as_people_write(exchange: Exchange, rng: random.Random) -> Exchange:
    """Some without capitals or marks, some politely, and some say more than they are asked."""
    luck, question = rng.random(), exchange.question
    if luck < 0.08:
        question = question.lower()
    elif luck < 0.16:
        question = question.rstrip("?.!")
    elif luck < 0.2:
        question = f"Please tell me: {question}"
    elif luck < 0.3:
        question = f"{_of_oneself(rng)} {question}"
    return exchange._replace(question=question)
