"""One service with a fault inside that quotes a person's words: `python -m tests.integration.broken
intake|ledger|worker`. The folder of a ledger is in the environment; what it logs is for the test.
"""

import sys
from typing import Any, NoReturn

from services.cli import main
from services.intake import routes
from services.intake.app import from_environment as intake
from services.intake.validation import validate_event
from services.ledger.api import people
from services.ledger.api.app import from_environment as ledger
from services.ledger.plan.decide import decide
from services.ledger.presentation.plan_view import plan_view
from services.ledger.writer import batch
from shared.auth.tokens import local_token
from shared.settings import Settings

WORDS = "Marzipan on the pier"
POSTED = b'{"specversion":"1.0","id":"00000000-0000-4000-8000-000000000001","source":"/t",'
POSTED += b'"subject":"person:ada","type":"aspiration.stated","data":{"words":"%b"}}'


def fail(*_: Any, **__: Any) -> NoReturn:
    """As a program does that meets a value it did not foresee."""
    words = {"words": WORDS}
    try:
        number = int(words["words"])
    except ValueError as fault:
        raise KeyError(WORDS) from fault
    raise AssertionError(number)


def ask(app: Any, method: str, path: str) -> None:
    """One request that ends in the fault."""
    token = local_token(Settings.load().key_folder, "person:ada")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents+json"}
    posted = POSTED % WORDS.encode()
    answer = app.test_client().open(path, method=method, headers=headers, data=posted)
    assert answer.status_code == 500, answer.text


if __name__ == "__main__":
    for module, function in ((routes, validate_event), (people, plan_view), (batch, decide)):
        setattr(module, function.__name__, fail)
    if sys.argv[1] == "intake":
        ask(intake(), "POST", "/events")
    elif sys.argv[1] == "ledger":
        ask(ledger(), "GET", "/people/person:ada/plan")
    else:
        main(["worker"])
