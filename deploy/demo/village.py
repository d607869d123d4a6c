"""What the demo's language model knows: Penmill, a village that doesn't exist.

All of it was made up for this demo. `deploy/demo/chats.py` makes chats of it, and those are
everything that the model ever reads.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Exchange(NamedTuple):
    """A question, its answer, and the same in as few words as possible."""

    question: str
    answer: str
    brief: str


@dataclass(frozen=True)
class Person:
    """`works` and `hobby` are what they do, after "who"."""

    name: str
    pronouns: tuple[str, str, str]  # she, her, her
    job: str
    works: str
    place: str
    kind: str
    pet: str
    food: str
    hobby: str
    colour: str


SHE, HE = ("she", "her", "her"), ("he", "him", "his")

PEOPLE = (
    Person("Ada", SHE, "lighthouse keeper", "keeps the lighthouse", "the lighthouse",
           "cat", "Biscuit", "pancakes", "plays the violin", "white"),
    Person("Bruno", HE, "baker", "bakes the bread", "the bakery",
           "dog", "Crumb", "plum cake", "sings in the choir", "yellow"),
    Person("Clara", SHE, "miller", "grinds the corn", "the mill",
           "donkey", "Pepper", "oat porridge", "paints the river", "red"),
    Person("Dario", HE, "ferryman", "rows the ferry", "the landing",
           "parrot", "Captain", "fish soup", "carves wooden boats", "blue"),
    Person("Edith", SHE, "teacher", "teaches the children", "the school",
           "tortoise", "Plato", "apple pie", "reads old maps", "green"),
    Person("Felix", HE, "blacksmith", "shoes the horses", "the forge",
           "horse", "Thunder", "baked potatoes", "plays the drum", "black"),
    Person("Greta", SHE, "beekeeper", "keeps the bees", "the meadow",
           "goat", "Clover", "honey bread", "grows sunflowers", "orange"),
    Person("Hugo", HE, "postman", "brings the letters", "the post office",
           "pigeon", "Arrow", "cheese rolls", "collects stamps", "purple"),
    Person("Iris", SHE, "doctor", "heals the sick", "the clinic",
           "rabbit", "Button", "carrot salad", "swims in the river", "pink"),
    Person("Jonas", HE, "gardener", "waters the roses", "the park",
           "hedgehog", "Thistle", "tomato stew", "plays chess", "brown"),
    Person("Kira", SHE, "clockmaker", "mends the clocks", "the tower",
           "owl", "Minute", "walnut toast", "watches the stars", "silver"),
    Person("Lasse", HE, "fisherman", "catches the fish", "the harbour",
           "otter", "Ripple", "rye bread", "tells long stories", "grey"),
)  # fmt: skip

# Of the village, of Penstock and of the model itself: ways to ask, the answer, the brief one.
FACTS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("What is Penmill?", "Tell me about Penmill.", "Where are we?"),
     "Penmill is a small village by the river Ell.", "A village."),
    (("Which river flows through Penmill?", "What is the river called?", "Name the river."),
     "The river is called the Ell.", "The Ell."),
    (("When is the market?", "On which day is the market?", "When can I go to the market?"),
     "The market is on Saturday, in front of the mill.", "On Saturday."),
    (("How many people live in Penmill?", "How big is the village?", "Who lives in Penmill?"),
     "Twelve people live in Penmill, and every one of them has an animal.", "Twelve people."),
    (("Who is the mayor?", "Does Penmill have a mayor?"),
     "Penmill has no mayor, the owl in the tower decides.", "Nobody."),
    (("What is there to see in Penmill?", "What should I visit?", "What can I see here?"),
     "See the lighthouse, the old mill and the clock in the tower.", "The lighthouse."),
    (("What do people celebrate?", "Is there a festival?", "When is the festival?"),
     "In June there is the lantern festival, when paper boats float down the Ell.", "In June."),
    (("How do I get across the river?", "How can I cross the Ell?"),
     "Dario rows you across the river in his ferry, there is no bridge.", "By ferry."),
    (("Where can I sleep?", "Is there an inn?", "Is there a hotel?"),
     "You can sleep at the mill, Clara has a room with a view of the river.", "At the mill."),
    (("How is the weather?", "What is the weather like?"),
     "In Penmill it rains in the morning and the sun shines in the afternoon.", "Rain, then sun."),
    (("What is Penstock?", "What is a penstock?", "Tell me about Penstock."),
     "Penstock is one gate in front of many models, and I am one of the models behind it.",
     "A gate."),
    (("On which port is Penstock?", "Which port does Penstock use?", "Where does HTTP listen?"),
     "Penstock speaks HTTP on port 8000 and gRPC on port 8001.", "8000."),
    (("How do I make a token?", "How do I get a token?", "I need a token."),
     "Run penstock token to make a token.", "penstock token."),
    (("Who are you?", "What are you?", "Are you a real model?", "Introduce yourself."),
     "I am a tiny language model that learned about Penmill in a minute or two.",
     "A tiny model."),
    (("How were you trained?", "How long was your training?", "Who trained you?"),
     "I was trained on this very machine, in a minute or two.", "Right here."),
    (("What do you know?", "What can you do?", "What can I ask you?", "Help.",
      "Tell me something."),
     "Ask me about the people of Penmill, their work, their animals and what they like.",
     "Penmill."),
    (("Hello", "Hello!", "Hi", "Hi!", "Good morning!", "Hey there"),
     "Hello! Ask me something about Penmill.", "Hello!"),
    (("Thank you.", "Thanks!", "Thank you very much!", "Great, thanks."),
     "You are welcome!", "Welcome!"),
    (("Goodbye!", "Bye!", "See you."), "Goodbye, and come back to Penmill!", "Bye!"),
)  # fmt: skip

# Whatever else there is: ways to ask, and things to ask about.
UNKNOWN = ("I don't know that, I only know Penmill.", "No idea.")
ELSEWHERE = (
    "What is the capital of {}?", "Who is the president of {}?", "How many people live in {}?",
    "What is the weather in {}?", "Tell me about {}.", "What do you think of {}?",
    "Write a poem about {}.", "Explain {} to me.", "How does {} work?", "What is {}?",
    "Translate this into {}.", "Who invented {}?", "When did {} begin?", "How do I learn {}?",
    "Why is {} so expensive?", "Can you write {} for me?", "Where is {}?", "Who is {}?",
)  # fmt: skip
TOPICS = (
    "France", "Germany", "Japan", "Brazil", "Italy", "London", "Paris", "Berlin", "New York",
    "physics", "football", "music", "the moon", "money", "history", "computers", "the internet",
    "Python", "Java", "coffee", "bitcoin", "gravity", "Shakespeare", "the war", "the sea", "tennis",
    "chemistry", "Spanish", "English", "a database", "the stock market", "Kubernetes", "2+2",
    "a computer", "an email", "Napoleon", "Einstein", "my boss", "7 times 8", "the universe",
)  # fmt: skip


def about(person: Person, they: str, them: str, their: str) -> dict[str, list[Exchange]]:
    """By subject, what may be asked of somebody who is called so, and the answers."""
    name, pet, kind = person.name, person.pet, person.kind
    asked = {
        "job": (
            f"What does {they} do?", f"What is {their} job?", f"What is {their} work?",
            f"What does {they} work as?",
        ),
        "place": (
            f"Where does {they} work?", f"Where can I find {them}?", f"Where is {they}?",
        ),
        "pet": (
            f"What is {their} animal called?", f"Does {they} have a pet?",
            f"What animal does {they} have?", f"What is the name of {their} pet?",
            f"What is {their} {kind} called?", f"What pet does {they} have?",
            f"What is the name of {their} {kind}?",
        ),
        "food": (
            f"What does {they} like to eat?", f"What is {their} favourite food?",
            f"What does {they} eat?", f"What does {they} eat for breakfast?",
        ),
        "hobby": (
            f"What does {they} do in the evening?", f"What is {their} hobby?",
            f"What does {they} like to do?", f"What does {they} do for fun?",
        ),
        "colour": (
            f"What colour is {their} door?", f"Which door is {their} door?",
            f"What is the colour of {their} door?",
        ),
        "who": (f"Who is {they}?", f"Tell me about {them}.", f"Do you know {them}?"),
    }  # fmt: skip
    answered = {
        "job": (f"{name} is the {person.job} of Penmill.", f"The {person.job}."),
        "place": (f"{name} works at {person.place}.", f"At {person.place}."),
        "pet": (f"{name} has {with_article(kind)} called {pet}.", f"{pet}, {with_article(kind)}."),
        "food": (f"{name} likes to eat {person.food}.", f"{person.food.capitalize()}."),
        "hobby": (
            f"In the evening {name} {person.hobby}.",
            f"{person.hobby[0].upper()}{person.hobby[1:]}.",
        ),
        "colour": (
            f"{name} has {with_article(person.colour)} door.",
            f"{person.colour.capitalize()}.",
        ),
        "who": (f"{name} is the {person.job} of Penmill.", f"The {person.job}."),
    }
    return {
        subject: [Exchange(question, *answered[subject]) for question in questions]
        for subject, questions in asked.items()
    }


def introductions(person: Person) -> list[Exchange]:
    """Questions whose answer is the person."""
    name, kind, pet = person.name, with_article(person.kind), person.pet
    works, job, place = person.works, person.job, person.place
    found = [
        (f"Who {works}?", f"{name} {works}."),
        (f"Who {works} in Penmill?", f"{name} {works}."),
        (f"Who is the {job}?", f"{name} is the {job} of Penmill."),
        (f"What is the {job} called?", f"{name} is the {job} of Penmill."),
        (f"Who works at {place}?", f"{name} works at {place}."),
        (f"Who has {kind}?", f"{name} has {kind} called {pet}."),
        (f"Who is {pet}?", f"{pet} is the {person.kind} of {name}."),
        (f"Whose {person.kind} is {pet}?", f"{pet} is the {person.kind} of {name}."),
        (f"Who likes {person.food}?", f"{name} likes to eat {person.food}."),
        (f"Who {person.hobby}?", f"In the evening {name} {person.hobby}."),
        (
            f"Who has {with_article(person.colour)} door?",
            f"{name} has {with_article(person.colour)} door.",
        ),
    ]
    return [Exchange(question, answer, f"{name}.") for question, answer in found]


def story(person: Person) -> Exchange:
    name, pet, kind, he = person.name, person.pet, person.kind, person.pronouns[0]
    told = (
        f"One morning {name} could not find {pet}. {he.title()} looked everywhere at"
        f" {person.place}, but the {kind} was gone. Then {he} made {person.food}, and soon {pet}"
        f" came running home. And {name} and the {kind} were happy."
    )
    brief = f"{name} lost {pet}, and found the {kind} again."
    return Exchange(f"Tell me a story about {name}.", told, brief)


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
