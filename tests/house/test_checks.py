"""Every house check finds a fault, and leaves a sound example alone."""

import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from shared.events.catalogue import CATALOGUE
from tests.house import budgets, judgement, rooms, shape, vocabulary, words
from tests.house.files import ROOT, Check, Source, listed
from tests.house.test_house import CHECKS

LONG = "def f() -> None:\n" + "    pass\n" * 50
PLAN = "services/ledger/plan/decide.py"

# check, path, what breaks the rule, what keeps it, a word of the remedy
EXAMPLES: list[tuple[Check, str, str, str, str]] = [
    (shape.no_long_function, "a.py", LONG, LONG[:-9], "51 lines"),
    (shape.no_long_file, "a.py", "a = 1\n" * 451, "a = 1\n" * 450, "451 lines"),
    (
        rooms.pure_rooms_stay_pure,
        PLAN,
        "import time",
        "from datetime import datetime",
        "`received`",
    ),
    (rooms.pure_rooms_stay_pure, PLAN, "from os import urandom", "import hashlib", "os in a pure"),
    (rooms.pure_rooms_stay_pure, PLAN, "datetime.now()", "datetime(2026, 1, 1)", "now() in a"),
    (
        rooms.pure_rooms_stay_pure,
        PLAN,
        "uuid.uuid4()",
        "uuid.UUID(given)",
        "ids come with the event",
    ),
    (
        rooms.pure_rooms_stay_pure,
        PLAN,
        "from services.ledger import store",
        "from services.ledger.plan import model",
        "services.ledger.store in a pure room",
    ),
    (
        rooms.keys_are_named_once,
        "shared/a.py",
        'f"firsthand:{{p{n}}}:a"',
        "stream(n)",
        "redis_keys.py",
    ),
    (words.no_foreign_place, "a.toml", "py" + "pi.org", "python.org", "name the package"),
    (
        words.no_foreign_place,
        "a.sh",
        "cd /ho" + "me/ada",
        "GET /people/ada",
        "folder of one machine",
    ),
    (words.no_address_in_a_lock, "a.lock", "--index-url x", "a==1 --hash=sha256:0", "make lock"),
    (words.no_address_in_a_lock, "a.lock", "a @ file:///a", "a==1", "make lock"),
    (words.every_variable_exists, "a.md", "FIRSTHAND_DAT", "FIRSTHAND_DATA_FILE", "declare"),
    (words.every_exception_has_a_reason, "a.py", "a  # noqa", "a  # the reason", "say why"),
    (
        words.every_exception_has_a_reason,
        "a.py",
        "a  # noqa: S1",
        "a  # noqa: S1 - our own",
        "code",
    ),
    (
        words.every_exception_has_a_reason,
        "a.py",
        "a  # type: ignore[misc]",
        "a  # type: ignore[misc]  # it has no stubs",
        "say why",
    ),
    (
        words.only_our_words,
        "shared/a.py",
        "def find_user(): ...",
        "def find_person(): ...",
        "say person",
    ),
    (
        words.only_our_words,
        "shared/a.py",
        "class PatientPlan: ...",
        "class PersonPlan: ...",
        "person",
    ),
    (words.only_our_words, "shared/a.py", "self.therapist = 1", "self.partner = 1", "say partner"),
    *(
        (
            judgement.no_list_of_words_is_ours,
            "shared/a.py",
            broken,
            "avoid = {}",
            "the person's own",
        )
        for broken in ("STIGMATISING_WORDS = ()", "def forbidden_terms(): ...")
    ),
    *(
        (vocabulary.prose_is_plain, path, broken, sound, remedy)
        for path, broken, sound, remedy in (
            ("shared/a.py", "# Done anew.", "# Done again. Renewed, untold.", "anew: again"),
            ("shared/a.py", '"""Not it:\n\nwhoever asks."""', '"""The caller."""', "whoever: name"),
            ("shared/a.py", 'raise E("of\\nnobody")', 'raise E("orphaned")', "of nobody: orphaned"),
            ("shared/a.py", 'f"{a} is none"', 'f"{a} is invalid"', "is none: is invalid"),
            (
                "README.md",
                "It lies\nhere.",
                "It is here: `whoever`.\n```text\nlies\n```\n",
                "lies: is",
            ),
        )
    ),
    *(
        (vocabulary.names_say_what_they_hold, "shared/a.py", broken, sound, "name what it holds")
        for broken, sound in (
            ("for each in a: pass", "for row in a: pass"),
            ("def _told(): ...", "def report(): ..."),
            ("def f(given): ...", "def f(settings): ..."),
            ("self.kept = 1", "self.cache = each.own"),
        )
    ),
]


@pytest.mark.parametrize(
    ("check", "path", "broken", "sound", "remedy"),
    EXAMPLES,
    ids=[f"{number}-{example[0].__name__}" for number, example in enumerate(EXAMPLES)],
)
def test_a_check_finds_its_fault_and_names_the_remedy(
    check: Check, path: str, broken: str, sound: str, remedy: str
) -> None:
    findings = [str(finding) for finding in check(Source(path, broken))]
    assert findings
    assert all(finding.startswith(f"{path}:") for finding in findings)
    assert remedy in "\n".join(findings)
    assert not list(check(Source(path, sound)))


def test_every_check_is_tried_here() -> None:
    assert {check for check, *_ in EXAMPLES} == set(CHECKS)


def test_a_docstring_does_not_make_a_function_long() -> None:
    told = Source("a.py", 'def f() -> None:\n    """Says\n    a lot."""\n    return\n')
    assert shape.median_function([told]) == 2
    assert shape.all_lines([told, told]) == 8


DONE = CATALOGUE["action.done"]


@pytest.mark.parametrize(
    ("texts", "finding"),
    [
        (
            judgement.texts_of_type(replace(DONE, others_sentence="{who} did not engage.")),
            "did not engage",
        ),
        (judgement.texts_of_type(replace(DONE, example={"a": [{"compliance": 1}]})), "compliance"),
        (
            judgement.texts_of_code('def f():\n "Their score."\n return f"{x} complied"'),
            " complied",
        ),
        (judgement.texts_of_json({"properties": {"severity": {"type": "string"}}}), "severity"),
        (["# HELP firsthand_actions_missed_total Actions of low adherence."], "low adherence"),
    ],
)
def test_a_text_that_scores_a_person_is_found(texts: Iterable[str], finding: str) -> None:
    (judged,) = judgement.judging(texts)
    assert finding in judged


def test_a_text_that_scores_nobody_passes() -> None:
    assert (
        judgement.judging([*judgement.texts_of_type(DONE), "Entries_total", "Ada went home."]) == []
    )


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("shared/events/event.py", "shared"),
        ("services/ledger/plan/model.py", "ledger: plan, log"),
        ("services/ledger/config.py", "ledger: store, writer, checkpoints, fold, vault"),
        ("services/verify.py", "verify.py"),
        ("services/ledger/api/people.py", "ledger: queries, presentation, api"),
        ("services/client/http.py", "client"),
    ],
)
def test_a_file_counts_to_the_budget_of_its_folder(path: str, row: str) -> None:
    assert budgets.lines_by_row([Source(path, "a = 1\n" * 3)]) == {row: 3}


def test_a_folder_over_its_budget_is_found() -> None:
    assert budgets.Budget(100, ()).limit == 110
    assert budgets.Budget(100, (), 150, "an ADR").limit == 150
    limits = Counter({row: budget.limit for row, budget in budgets.BUDGETS.items()})
    assert budgets.over_budget(limits) == []
    (finding,) = budgets.over_budget(limits + Counter({"client": 1}))
    assert finding.startswith("client: 581 lines, limit 580; ")


def test_a_name_that_four_modules_define_is_found() -> None:
    modules = [
        Source(f"shared/{letter}.py", "class A:\n    def f(self): ...\n    def add(self): ...")
        for letter in "abcd"
    ]
    assert vocabulary.reused_names(modules[:3]) == []
    assert [text.split(" ")[0] for text in vocabulary.reused_names(modules)] == ["A:", "f:"]
    files = [Source(f"shared/{letter}/same.py", "") for letter in "abcd"]
    assert vocabulary.reused_names(files)[0].startswith("same.py: 4 modules define it")


def test_words_are_found_on_their_own_line() -> None:
    page = Source("docs/a.md", "# A\n\n```text\ntold\n```\n\nfine\nis told\n")
    assert [finding.line for finding in vocabulary.prose_is_plain(page)] == [8]


def test_texts_for_persons_and_generated_pages_are_free() -> None:
    sentence = Source("services/ledger/presentation/a.py", 'told = "You are told."')
    page = Source("docs/a.md", f"{vocabulary.GENERATED}x -->\nIt is told.\n")
    for source in (sentence, page):
        assert not list(vocabulary.prose_is_plain(source))
        assert not list(vocabulary.names_say_what_they_hold(source))


def test_a_finding_names_its_line() -> None:
    (finding,) = shape.no_long_function(Source("shared/a.py", "\n\n" + LONG))
    assert str(finding).startswith("shared/a.py:3: ")


def test_the_files_include_this_one_and_nothing_that_was_built() -> None:
    files = listed()
    assert "tests/house/test_checks.py" in files
    assert not [path for path in files if path.startswith((".venv/", "build/"))]


@pytest.mark.parametrize("target", ["demo", "up", "test", "check", "bench", "lock", "clean"])
def test_bare_make_names_every_target(target: str) -> None:
    said = subprocess.run(["make", "-s"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert f"make {target} " in said.stdout
