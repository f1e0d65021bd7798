"""Text that others wrote, made safe to print on a terminal.

Control characters (ESC above all) move the cursor, set the title, or clear the screen; the marks
that steer the direction of text (Unicode's bidirectional controls) make a line read as another one.
"""

import re

STEERING = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
FURTHER = "\n      "  # where further lines of somebody's words begin
_STEERING = re.compile(f"[{STEERING}]")


def plain(text: str) -> str:
    r"""The text without what steers a terminal; lines and tabs stay.

    >>> plain("Walk.\x1b[2J\n\tTo the \u2067sea\u2069.")
    'Walk.[2J\n\tTo the sea.'
    """
    return _STEERING.sub("", text)


def printable(text: str) -> str:
    r"""The text in one line, with a question mark for all that cannot be seen.

    >>> printable("Walk.\x1b[2J\n\u202e")
    'Walk.?[2J??'
    """
    return "".join(each if each.isprintable() else "?" for each in text)


def safe_text(words: str) -> str:
    r"""Somebody's words inside a text of ours: as they are, but on further lines far to the right,
    so that no words pass for lines of ours; what steers a terminal is left out.

    >>> safe_text("One.\nWhat you want\n- Two.\x1b[2J")
    'One.\n      What you want\n      - Two.[2J'
    """
    return FURTHER.join(map(plain, words.splitlines()))
