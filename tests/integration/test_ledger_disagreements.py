"""Disagreements are pinned to what they are about, wherever it is shown: plan, text, history."""

from tests.integration.together import ADA, SAM, SEA, Together, event


def test_a_disagreement_stands_beside_whatever_shows_the_entry(begun: Together) -> None:
    seen = {"who_saw": SAM, "seen_or_heard": "She shouted."}
    observed = begun.post(SAM, "observation.recorded", seen)
    against = begun.post(
        ADA, "disagreement.stated", {"entry": observed["id"], "words": "I laughed."}
    )
    pinned = {"entry": against["id"], "author": ADA, "words": "I laughed."}
    [shown] = begun.plan()["beside"]["observations"]
    assert shown["disagreements"] == [pinned]
    told = next(each for each in begun.history() if each["id"] == observed["id"])
    assert told["disagreements"] == [pinned]
    text = begun.get(ADA, "plan", Accept="text/plain").text
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines) if "She shouted." in line)
    assert "I laughed." in lines[place + 1]


def test_a_disagreement_about_a_line_stands_beside_the_line(begun: Together) -> None:
    planned = begun.post(ADA, "action.planned", {"what": "Walk on Tuesdays", "by": SAM})
    said = {"entry": planned["id"], "words": "Wednesdays suit me."}
    against = begun.post(SAM, "disagreement.stated", said)
    assert begun.verdict(against, SAM) == "accepted"
    line = next(each for each in begun.plan()["lines"] if each["thing"] == "action")
    assert [each["words"] for each in line["disagreements"]] == ["Wednesdays suit me."]
    told = next(each for each in begun.history() if each["id"] == planned["id"])
    assert [each["author"] for each in told["disagreements"]] == [SAM]
    text = begun.get(ADA, "plan", Accept="text/plain").text.splitlines()
    place = next(number for number, line in enumerate(text) if "Walk on Tuesdays" in line)
    assert any("Sam (nurse) disagreed: Wednesdays suit me." in each for each in text[place:])


def test_a_disputed_line_keeps_its_disagreement_when_it_is_done_or_reworded(
    begun: Together,
) -> None:
    planned = begun.post(ADA, "action.planned", {"id": "walk", "what": "Walk", "by": SAM})
    begun.post(SAM, "disagreement.stated", {"entry": planned["id"], "words": "Not me."})
    begun.post(ADA, "action.done", {"action": "walk"})
    line = next(each for each in begun.plan()["lines"] if each["thing"] == "action")
    assert line["state"] == "done"
    assert [each["words"] for each in line.get("disagreements", [])] == ["Not me."]
    assert "Not me." in begun.get(ADA, "plan", Accept="text/plain").text


def test_a_past_page_shows_what_was_said_against_it_since(begun: Together) -> None:
    seen = {"who_saw": SAM, "seen_or_heard": "She shouted."}
    observed = begun.post(SAM, "observation.recorded", seen)
    begun.post(ADA, "disagreement.stated", {"entry": observed["id"], "words": "I laughed."})
    page = begun.get(ADA, "history?cursor=2&limit=1").get_json()
    assert [each["words"] for each in page["entries"][0]["disagreements"]] == ["I laughed."]


def test_a_view_of_the_past_shows_what_was_said_against_it_since(begun: Together) -> None:
    """Property 5: any output that holds a disputed entry holds its disagreement."""
    seen = {"who_saw": SAM, "seen_or_heard": "She shouted."}
    observed = begun.post(SAM, "observation.recorded", seen)  # recorded at 12:04
    said = {"entry": observed["id"], "words": "I laughed."}
    against = begun.post(ADA, "disagreement.stated", said)
    for query in ("as-of=2126-03-02T12:04:30Z", "version=2"):
        then = begun.plan(f"?{query}")
        [shown] = then["beside"]["observations"]
        assert [each["words"] for each in shown["disagreements"]] == ["I laughed."]
        aloud = begun.get(ADA, f"plan?{query}", Accept="text/plain").text
        assert "I laughed." in aloud
    assert begun.plan("?as-of=2126-03-02T12:04:30Z")["since"] == [against["id"]]
    assert begun.plan("?as-of=2126-03-02T12:09:00Z") == begun.plan()
    assert "since" not in begun.plan()


def test_a_plan_reads_the_same_folded_from_entries_or_from_its_stored_bytes(
    begun: Together,
) -> None:
    """Two observations of one moment keep their order when the plan has been stored meanwhile."""
    for name in ("ffffffff", "00000000"):
        seen = {"who_saw": SAM, "seen_or_heard": name}
        told = event("observation.recorded", seen, id=f"{name}-0000-4000-8000-000000000000")
        assert begun.door.post(told, SAM).status_code == 202
    assert begun.drain() == 2
    before = begun.get(ADA, "plan")
    for _ in range(40):  # refused, with standing: enough for the plan to be stored
        assert begun.door.post(event("aspiration.stated", SEA)).status_code == 202
    assert begun.drain() == 40
    after = begun.get(ADA, "plan")
    assert (after.data, after.headers["ETag"]) == (before.data, before.headers["ETag"])
