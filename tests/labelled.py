"""Texts with vectors, and questions of which it is known what answers them.

A text is about a topic and a product. Its vector tells the topic, and of the product no more than a
trace; its words name the product, but another topic's texts name it, too. So each half of a search
knows something that the other does not, as with embeddings of names and numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

TOPICS = (
    "billing invoice payment refund", "login password account session", "shipping parcel delivery",
    "battery charge power energy", "network router signal cable", "screen display pixel brightness",
    "camera lens photo focus", "printer paper ink toner", "backup restore archive snapshot",
    "sound speaker volume noise", "keyboard key layout shortcut", "update version release upgrade",
)  # fmt: skip
PRODUCTS = tuple(f"{name}{number}" for name in ("kx", "tz", "qm", "vr") for number in range(3, 8))
_HEADS = ("ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su")
FILLER = tuple(head + tail for head in _HEADS for tail in ("bel", "dor", "fin", "kas"))
DIMENSIONS = 24


WORDS_ALONE = """
    SELECT id FROM {table},
    CAST(replace(CAST(plainto_tsquery('english', %s) AS text), ' & ', ' | ') AS tsquery) AS words
    WHERE to_tsvector('english', content) @@ words
    ORDER BY ts_rank(to_tsvector('english', content), words) DESC, id
    LIMIT 10
"""
"""Full-text search by itself: any of the words, the best first, whatever the vectors."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text; a question is one, too."""

    topic: int
    product: int
    words: str
    vector: tuple[float, ...]


def texts(count: int, seed: int = 7) -> list[Text]:
    """The texts that are searched in; the same for the same seed."""
    random = Random(seed)
    return [_text(random, 0.5) for _ in range(count)]


def questions(count: int, seed: int = 8) -> list[Text]:
    """What is asked: as the texts are, in fewer words."""
    random = Random(seed)
    return [_text(random, 0.35, asked=True) for _ in range(count)]


def _text(random: Random, noise: float, *, asked: bool = False) -> Text:
    topic, product = random.randrange(len(TOPICS)), random.randrange(len(PRODUCTS))
    words = random.sample(FILLER, 1 if asked else 6)
    # A question names the product, and so do four of five texts.
    if asked or random.random() < 0.8:
        words.append(PRODUCTS[product])
    words += random.sample(TOPICS[topic].split(), 1 if asked else random.randrange(1, 4))
    random.shuffle(words)
    place = _place(f"topic {topic}", 1.0)
    trace = _place(f"product {product}", 0.4)
    vector = [a + b + random.gauss(0, noise) for a, b in zip(place, trace, strict=True)]
    length = math.sqrt(sum(each * each for each in vector))
    return Text(topic, product, " ".join(words), tuple(each / length for each in vector))


def _place(name: str, size: float) -> list[float]:
    random = Random(name)
    return [random.gauss(0, size) for _ in range(DIMENSIONS)]


def gain(question: Text, text: Text) -> int:
    """How good an answer is: 3 on topic and product, 1 on the topic alone, else 0."""
    topic, product = question.topic == text.topic, question.product == text.product
    return 3 if topic and product else 1 if topic else 0


def ndcg(question: Text, found: Sequence[int], all_texts: Sequence[Text], at: int = 10) -> float:
    """nDCG of the texts that were found, by their places in `all_texts`, best first."""
    gains = [gain(question, all_texts[place]) for place in found[:at]]
    best = sorted((gain(question, text) for text in all_texts), reverse=True)[:at]
    return _discounted(gains) / _discounted(best)


def _discounted(gains: Sequence[int]) -> float:
    return sum((2**each - 1) / math.log2(place + 2) for place, each in enumerate(gains))


def means(figures: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each."""
    return {name: sum(each) / len(each) for name, each in figures.items()}
