"""The shapes of what the ledger answers, for its description."""

from shared.events.catalogue import CATALOGUE
from shared.events.event import Json
from shared.events.refusals import WARNINGS, Code
from shared.http.common_operations import FATE, RECEIPT, TIME, WHOLE
from shared.http.openapi import TEXT, schema

_TYPES: Json = {"enum": list(CATALOGUE)}
_PINNED: Json = {
    "disagreements": {"type": "array", "items": schema("pinned")},
    "corrections": {"type": "array", "items": schema("pinned")},
    "retracted": schema("pinned"),
    "struck": schema("pinned"),
}


def _object(required: str, **properties: Json) -> Json:
    """An object; names in `required` that have no schema of their own are texts."""
    names = required.split()
    whole = {**dict.fromkeys(names, TEXT), **properties}
    return {"type": "object", "properties": whole, "required": names}


def _with_also(form: Json) -> Json:
    """A form, with those of the entries that others have under the same id."""
    also: Json = {"type": "array", "items": {"type": "object"}}
    return {**form, "properties": {**form["properties"], "also": also}}


SCHEMAS: dict[str, Json] = {
    "plan": {
        "description": "A person's plan as it is shown.",
        **_object(
            "subject version state lines beside",
            version=WHOLE,
            state={"enum": ["open", "closed"]},
            lines={"type": "array", "items": schema("planline")},
            beside={
                "type": "object",
                "additionalProperties": {"type": "array", "items": schema("beside")},
            },
            since={"type": "array", "items": TEXT},
        ),
    },
    "planline": {
        "description": "A line of the plan: what was written, its state, and where it came from.",
        **_object(
            "thing id state data origin since version",
            data={"type": "object"},
            origin=schema("origin"),
            ended=schema("origin"),
            since=WHOLE,
            version=WHOLE,
            promised={"type": "array", "items": _object("entry by due state")},
            suggested={"type": "array", "items": TEXT},
            **_PINNED,
        ),
    },
    "origin": {
        "description": "The entry that something came with.",
        **_object("entry author received", received=TIME, **_PINNED),
    },
    "beside": {
        "description": "What stands beside the plan, as its author put it.",
        **_object(
            "entry type author received data state",
            type=_TYPES,
            received=TIME,
            data={"type": "object"},
            answers={"type": "array", "items": _object("entry author received")},
            outcome=_object("entry author received"),
            answered=schema("origin"),
            ended=schema("origin"),
            **_PINNED,
        ),
    },
    "pinned": {
        "description": "Something said of an entry; `about` where it is said of what was said.",
        **_object("entry", author=TEXT, words=TEXT, about=TEXT),
    },
    "diff": {
        "description": "What changed in a plan, from one version to a later one.",
        **_object(
            "subject from to changes",
            **{"from": WHOLE, "to": WHOLE},
            changes={"type": "array", "items": schema("change")},
        ),
    },
    "change": {
        "description": "What became of a line. `members` put into it as it was make it what it is.",
        **_object(
            "thing id change since version origin members entries",
            change={"enum": ["added", "changed", "ended"]},
            since=WHOLE,
            version=WHOLE,
            origin=schema("origin"),
            ended=schema("origin"),
            was=_object(
                "version origin", version=WHOLE, origin=schema("origin"), ended=schema("origin")
            ),
            members={"type": "array", "items": _object("member entry", **{"from": {}, "to": {}})},
            changed_words=WHOLE,
            entries={"type": "array", "items": schema("told")},
        ),
    },
    "origins": {
        "description": "Where the words of each line of a plan come from.",
        **_object(
            "subject version lines",
            version=WHOLE,
            lines={"type": "array", "items": schema("lineorigin")},
        ),
    },
    "lineorigin": {
        "description": "A line, and the entry that its present words come from.",
        **_object(
            "thing id state words entry author received via issuer sentence",
            received=TIME,
            proposal=TEXT,
            suggested_by=TEXT,
            reworded={"type": "boolean"},
            changed_words=WHOLE,
            ended=schema("origin"),
            earlier={"type": "array", "items": schema("origin")},
            **_PINNED,
        ),
    },
    "history": {
        "description": "A page of a history. `next` is the cursor of the page after it.",
        **_object(
            "subject entries",
            entries={"type": "array", "items": schema("told")},
            next=WHOLE,
        ),
    },
    "told": {
        "description": "An entry, told in a sentence.",
        **_object(
            "index id type author via issuer received recorded verdict sentence",
            index=WHOLE,
            type=_TYPES,
            received=TIME,
            recorded=TIME,
            verdict={"enum": ["accepted", "refused"]},
            refusal={"enum": [code.value for code in Code]},
            sequence=WHOLE,
            planversion=WHOLE,
            onbehalfof=TEXT,
            words=TEXT,
            time=TIME,
            notes={"type": "array", "items": TEXT},
            warnings={"type": "array", "items": {"enum": list(WARNINGS)}},
            **_PINNED,
        ),
    },
    "fate": _with_also(FATE),
    "receipt": _with_also(RECEIPT),
}
