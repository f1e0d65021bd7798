"""Text-message bot: a person's text messages become events in their own name."""

import json
import re
from pathlib import Path
from urllib import error, request
from uuid import NAMESPACE_URL, uuid5


class Bot:
    """Posts for one person, with that person's token; `outbox` is a persistent folder."""

    def __init__(self, intake: str, ledger: str, person: str, token: str, outbox: Path) -> None:
        self.events, self.plan = f"{intake}/events", f"{ledger}/people/{person}/plan"
        self.person, self.token, self.outbox = person, token, outbox

    def hear(self, message: str, text: str) -> str:
        """Return the reply to a text; `message` is the id that the telephone company gave it."""
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
        file = self.outbox / f"{name}.json"
        file.write_text(json.dumps({**event, "type": kind, "data": data}))
        return self.post(file)

    def post(self, file: Path) -> str:
        """Post a stored event; retries send the same bytes until the outcome is known."""
        status, body = self.call(self.events, "application/json", file.read_bytes())
        if status in (202, 401, 429) or status >= 500:  # undecided, or not accepted yet
            return "I have kept it, and shall tell you what became of it."
        file.unlink()  # 200 and 201: accepted; 403 and 409: refused; others: never recorded
        return "It is in your plan." if status < 300 else json.loads(body)["detail"]

    def resend(self) -> list[str]:
        """Post all stored events again, and return the replies. A timer calls this."""
        return [self.post(file) for file in sorted(self.outbox.glob("*.json"))]

    def call(self, url: str, accept: str, body: bytes | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept, "Prefer": "wait=5"}
        headers |= {"Content-Type": "application/cloudevents+json"} if body else {}
        try:
            with request.urlopen(request.Request(url, body, headers), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except error.HTTPError as fault:
            return fault.code, fault.read().decode()
        except OSError:  # the outcome is unknown
            return 503, '{"detail": "Nobody answers just now. Please try again later."}'
