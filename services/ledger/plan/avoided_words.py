r"""Words that the person asked not to hear about themselves, found in a text.

A wording is found where it stands by itself: casefolded, and with no letter, digit or underscore
next to it, as `(?<!\w)wording(?!\w)` finds it. The cost follows the text, whatever the number of
wordings: each word of a wording that is found is a word of the text, and that is looked up first.
What is left is looked for by plain search, in a text in which marks show where a wording can begin
and end: a pattern for each wording takes four times as long on a text made to be slow.

>>> avoided = Avoided()
>>> avoided.add("the old lady")
>>> avoided.found_in("Ask THE OLD LADY."), avoided.found_in("Ask the old ladybird.")
(True, False)
"""

import re
from dataclasses import dataclass, field

_WORD = re.compile(r"\w+")
# Halves of a surrogate pair: no text that intake takes holds one alone.
_BEGIN, _END = "\ud800", "\ud801"
_AFTER = re.compile(r"(?<=.)(?!\w)", re.DOTALL)
_BEFORE = re.compile(rf"(?<!\w)(?<!\w{_END})(?=[^{_END}])")


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
        """True when one of the wordings stands in the text by itself."""
        folded = text.casefold()
        words = {"", *_WORD.findall(folded)}
        perhaps = [
            wording
            for word in self._by_word.keys() & words
            for wording, needed in self._by_word[word].items()
            if needed <= words and wording in folded
        ]
        if not perhaps:
            return False
        marked = _marked(folded)
        return any(_marked(wording) in marked for wording in perhaps)


def _marked(text: str) -> str:
    """The text with a mark before each character that no letter, digit or underscore precedes,
    and a mark after each that none follows.
    """
    return _BEFORE.sub(_BEGIN, _AFTER.sub(_END, text))
