"""Terminal escaping: make text from other people safe to print.

Control characters, above all ESC, can move the cursor, set the title, or clear the screen.
Unicode's bidirectional controls can reorder a line so that it reads as another one.
"""

import re

CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
CONTINUATION = "\n      "  # the indent of all lines of a person's words but the first
_CONTROLS = re.compile(f"[{CONTROLS}]")


def plain(text: str) -> str:
    r"""Remove control characters from the text; keep line feeds and tabs.

    >>> plain("Walk.\x1b[2J\n\tTo the \u2067sea\u2069.")
    'Walk.[2J\n\tTo the sea.'
    """
    return _CONTROLS.sub("", text)


def printable(text: str) -> str:
    r"""Replace every unprintable character by a question mark, line feeds included.

    >>> printable("Walk.\x1b[2J\n\u202e")
    'Walk.?[2J??'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def safe_text(words: str) -> str:
    r"""Return a person's words for a text report, without control characters.

    Their second and later lines are indented, so that they cannot pass for lines of the report.

    >>> safe_text("One.\nWhat you want\n- Two.\x1b[2J")
    'One.\n      What you want\n      - Two.[2J'
    """
    return CONTINUATION.join(map(plain, words.splitlines()))
