"""The known attribute that a name means: age2 and stylegan_ffhq_age_w_boundary both mean age."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

# How published directions call attributes of the catalogue, where more of one is more of the other.
SYNONYMS = {
    "eyeglasses": "glasses",
    "eyeglass": "glasses",
    "spectacles": "glasses",
    "smiling": "smile",
    "older": "age",
    "old": "age",
    "aging": "age",
    "ageing": "age",
    "aged": "age",
    "male": "gender",
    "masculine": "gender",
}
# Words of names whose + is, or may be, less of the attribute.
NEGATIONS = {
    "no",
    "not",
    "non",
    "without",
    "less",
    "anti",
    "minus",
    "neg",
    "negative",
    "inverse",
    "reverse",
    "de",
}


def named_attribute(names: Iterable[str], attributes: Collection[str]) -> str | None:
    """The one attribute that the first name with any means; None for several and for a negation."""
    for name in names:
        words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
        if NEGATIONS & set(words):
            return None
        meant = {attribute for attribute in attributes if is_in(attribute.split("-"), words)}
        meant |= {SYNONYMS[word] for word in words if SYNONYMS.get(word) in attributes}
        if meant:
            return meant.pop() if len(meant) == 1 else None
    return None


def is_in(part: list[str], words: list[str]) -> bool:
    """Whether the words of `part` stand in `words`, one after another."""
    return any(words[k : k + len(part)] == part for k in range(len(words)))
