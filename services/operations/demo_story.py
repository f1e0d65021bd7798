"""The story that `firsthand demo` tells, read from demo_story.yaml."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import yaml

from shared.events.event import Json

STORY = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Step:
    """A heading, or a paragraph with what happens in it: an event, its author and the verdict.

    `days_ago` counts from the day on which the story runs.
    """

    text: str
    days_ago: int
    author: str = ""
    verdict: str = ""
    event: Json | None = None


def steps(names: Mapping[str, str]) -> Iterator[Step]:
    """Yield the story step by step; `names` has the values of its `$` references."""
    days_ago = 0
    for item in yaml.safe_load(STORY):
        if "heading" in item:
            days_ago = item["days_ago"]
            yield Step(item["heading"], days_ago)
        else:
            event = json.loads(Template(json.dumps(item["event"])).substitute(names))
            text = item["text"].format(**event["data"])
            yield Step(text, days_ago, item["author"], item["expect"], event)


def references() -> set[str]:
    """Return the names of the story's `$` references."""
    return set(Template(STORY).get_identifiers())
