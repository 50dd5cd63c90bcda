"""French text -> the stems that the index and the questions are made of."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Collection, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import Stemmer

from ai_core.knowledge.number_words import in_digits

_ACCENT = re.compile(r"[\u0300-\u036f]")
_HOURS = re.compile(r"(?<=\d)h(?=\d|\b)")  # "35h", "7h30"
_ONE_WORD = re.compile(r"\bprud\W(?=hom)")  # "prud'hommes" is no two words, of which each would count
_WORD = re.compile(r"[a-z0-9]+")
_HERE = Path(__file__).parent
_local = threading.local()


def fold(text: str) -> str:
    """Lower case without accents; ligatures opened ("Œuvre à part" -> "oeuvre a part")."""
    opened = text.lower().replace("œ", "oe").replace("æ", "ae")
    return opened if opened.isascii() else _ACCENT.sub("", unicodedata.normalize("NFKD", opened))


def stems(text: str, stem_of: Callable[[str], str] | None = None) -> list[str]:
    """The stems of the words that carry meaning, in order; `stem_of` gives that of a folded word (else `stem`).

    Accents go before stemming: half of the questions come without them. What an apostrophe cuts off ("l'", "qu'") goes
    as a single letter or as a stop word. Numbers become digits.
    """
    chosen = stem_of or stem
    words = in_digits(_WORD.findall(_ONE_WORD.sub("prud", _HOURS.sub(" heures ", fold(text)))))
    return [chosen(word) for word in words if (len(word) > 1 or word.isdigit()) and word not in stop_words()]


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The stem of a folded word."""
    if (exception := _stem_exceptions().get(word)) is not None:
        return exception
    if not hasattr(_local, "stemmer"):  # one for each thread: a Stemmer must not be shared
        _local.stemmer = Stemmer.Stemmer("french")
    stemmed: str = _local.stemmer.stemWord(word)
    return stemmed


@cache
def stop_words() -> frozenset[str]:
    """Folded words that are left out."""
    return frozenset(word for line in data_lines("stop_words.txt") for word in line.split())


@cache
def _stem_exceptions() -> dict[str, str]:
    rules = (line.partition("=") for line in data_lines("stem_exceptions.txt"))
    return {word: chosen.strip() for words, _, chosen in rules for word in words.split()}


def exceptional_words() -> Collection[str]:
    """The folded words whose stem is not what the stemmer makes of them."""
    return _stem_exceptions().keys()


@cache
def weak_stems() -> frozenset[str]:
    """Stems that belong to asking rather than to what is asked."""
    return frozenset(stem(word) for line in data_lines("weak_words.txt") for word in line.split())


@cache
def labour_stems() -> frozenset[str]:
    """Stems that hardly any question holds but one about work."""
    return frozenset(stem(word) for line in data_lines("labour_words.txt") for word in _WORD.findall(line))


def data_lines(name: str) -> list[str]:
    """The lines of a data file of this package, without comments and empty lines."""
    lines = (line.split("#")[0].strip() for line in (_HERE / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def pairs(terms: Sequence[str]) -> list[str]:
    """Neighbouring stems as terms of their own: "contrat aid", "aid emploi"."""
    return [f"{first} {second}" for first, second in pairwise(terms)]
