"""A text-message bot: what a person texts becomes events in their own name."""

import json
import re
from pathlib import Path
from urllib import error, request
from uuid import NAMESPACE_URL, uuid5


class Bot:
    """Speaks for one person, with a token of theirs; `outbox` is a folder that outlives us."""

    def __init__(self, intake: str, ledger: str, person: str, token: str, outbox: Path) -> None:
        self.events, self.plan = f"{intake}/events", f"{ledger}/people/{person}/plan"
        self.person, self.token, self.outbox = person, token, outbox

    def hear(self, message: str, text: str) -> str:
        """The reply to a text; `message` is the id that the telephone company gave it."""
        if re.match("i want ", text, re.IGNORECASE):
            return self.say(message, "aspiration.stated", {"words": text})
        status, plan = self.call(self.plan, "text/plain" if text.lower() == "plan" else "*/*")
        if status != 200 or text.lower() == "plan":
            return plan if status == 200 else json.loads(plan)["detail"]
        name, value, words = re.fullmatch(r"(\w*) ?(-?\d*)\W*(.*)", text, re.DOTALL).groups()
        for line in json.loads(plan)["lines"] if name and value else ():
            if line["thing"] == "measure" and name.lower() in line["data"]["name"].lower():
                data = {"measure": line["id"], "version": line["data"]["version"]}
                data |= {"value": int(value), **({"words": words} if words else {})}
                return self.say(message, "measure.rated", data)
        return "Text me: I want …, or a measure of yours and a number (steady 6), or: plan"

    def say(self, message: str, kind: str, data: dict) -> str:
        name = str(uuid5(NAMESPACE_URL, f"{self.person}/{message}"))  # the same text, the same id
        event = {"specversion": "1.0", "id": name, "source": "/text", "subject": self.person}
        kept = self.outbox / f"{name}.json"
        kept.write_text(json.dumps({**event, "type": kind, "data": data}))
        return self.post(kept)

    def post(self, kept: Path) -> str:
        """Post an event that was kept: the same bytes again, until their fate is known."""
        status, told = self.call(self.events, "application/json", kept.read_bytes())
        if status in (202, 401, 429) or status >= 500:  # safe but not decided, or not passed on
            return "I have kept it, and shall tell you what became of it."
        kept.unlink()  # 200 and 201: accepted; 403 and 409: refused; others: never recorded
        return "It is in your plan." if status < 300 else json.loads(told)["detail"]

    def resend(self) -> list[str]:
        """What became of the events that were kept: each is posted again. A timer calls this."""
        return [self.post(kept) for kept in sorted(self.outbox.glob("*.json"))]

    def call(self, url: str, accept: str, body: bytes | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept, "Prefer": "wait=5"}
        headers |= {"Content-Type": "application/cloudevents+json"} if body else {}
        try:
            with request.urlopen(request.Request(url, body, headers), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except error.HTTPError as fault:
            return fault.code, fault.read().decode()
        except OSError:  # no answer says nothing about what became of it
            return 503, '{"detail": "Nobody answers just now. Please try again later."}'
