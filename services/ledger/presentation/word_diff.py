"""How many words differ: what stands between white space is a word."""

from collections import defaultdict


def changed_words(before: str, after: str) -> int:
    """How many words of one text are not those of the other: the words that went or those that
    came, whichever are more; words that keep their order are the same (longest common subsequence).

    >>> changed_words("Walk 2,000 steps a day.", "Walk to the bakery a day.")
    3
    >>> changed_words("Walk to the sea.", "Walk to the sea.")
    0
    """
    old, new = before.split(), after.split()
    return max(len(old), len(new)) - _in_common(old, new)


def _in_common(old: list[str], new: list[str]) -> int:
    """The length of the longest common subsequence, a row of the usual table at once in the bits
    of one number (Hyyrö 2004): words of any number and sort take no longer than to read them.
    """
    places: dict[str, int] = defaultdict(int)
    for place, word in enumerate(old):
        places[word] |= 1 << place
    whole = (1 << len(old)) - 1
    row = whole
    for word in new:
        met = row & places.get(word, 0)
        row = (row + met | row - met) & whole
    return len(old) - row.bit_count()
