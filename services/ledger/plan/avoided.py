"""Words that the person asked not to hear about themselves, found in a text.

A wording is found where it stands by itself: casefolded, and with no letter, digit or underscore
next to it. Then each of its words is a word of the text, which is looked up before any pattern is
tried: the cost follows the text, whatever the number of wordings.

>>> avoided = Avoided()
>>> avoided.add("the old lady")
>>> avoided.found_in("Ask THE OLD LADY."), avoided.found_in("Ask the old ladybird.")
(True, False)
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Avoided:
    """The wordings, casefolded: by the longest word of each, with all of its words."""

    _by_word: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)

    def add(self, wording: str) -> None:
        """Look for that wording too."""
        folded = wording.casefold()
        words = frozenset(_WORD.findall(folded))
        longest = max(words, key=lambda word: (len(word), word), default="")
        self._by_word.setdefault(longest, {})[folded] = words

    def found_in(self, text: str) -> bool:
        """True when one of the wordings stands in the text."""
        folded = text.casefold()
        words = {"", *_WORD.findall(folded)}
        return any(
            needed <= words and wording in folded and _by_itself(wording).search(folded)
            for word in self._by_word.keys() & words
            for wording, needed in self._by_word[word].items()
        )


@lru_cache(maxsize=1024)
def _by_itself(wording: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(wording)}(?!\w)")
