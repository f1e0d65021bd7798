"""Word difference of two texts; words are separated by white space."""

from collections import defaultdict


def changed_words(before: str, after: str) -> int:
    """Return how many words of the two texts differ.

    Words that keep their order are the same (longest common subsequence). Of the removed and the
    added words, the larger number counts.

        >>> changed_words("Walk 2,000 steps a day.", "Walk to the bakery a day.")
        3
        >>> changed_words("Walk to the sea.", "Walk to the sea.")
        0
    """
    old, new = before.split(), after.split()
    return max(len(old), len(new)) - _in_common(old, new)


def _in_common(old: list[str], new: list[str]) -> int:
    """Return the length of the longest common subsequence.

    Each row of the usual table is one integer of bits (Hyyrö 2004), so that long texts are fast.
    """
    positions: dict[str, int] = defaultdict(int)
    for position, word in enumerate(old):
        positions[word] |= 1 << position
    mask = (1 << len(old)) - 1
    row = mask
    for word in new:
        matches = row & positions.get(word, 0)
        row = (row + matches | row - matches) & mask
    return len(old) - row.bit_count()
