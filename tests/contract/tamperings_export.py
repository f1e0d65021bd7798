"""What can be done to an export's files: the rest of the rows of docs/explanation/tampering.md."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from services.ledger.log.signed_note import Signer
from shared.crypto.jwe import b64url, from_b64url
from tests.contract.forging import Exported
from tests.contract.tamperings import a_refusal, members, of_ada, one_bit, part_changed
from tests.given import ADA

SHAM = "0196f3c8-0000-4000-8000-000000000001"


def nothing(_: Exported) -> None:
    """It is as it was."""


def drop_last(told: Exported) -> None:
    """With the log's key, or it would not be signed."""
    told.drop(len(told.leaves) - 1)


def swap(told: Exported) -> None:
    """Two entries of Ada's, and what is opened of them."""
    second = told.place(of_ada)
    before = members(told, second)["sequence"]
    first = told.place(lambda each: of_ada(each) and each["sequence"] < before)
    told.leaves[first], told.leaves[second] = told.leaves[second], told.leaves[first]
    lines = {each["index"]: each for each in told.opened}
    lines[first], lines[second] = (
        lines[second] | {"index": first},
        lines[first] | {"index": second},
    )
    told.opened = [lines[each] for each in sorted(lines)]


def insert_copy(told: Exported) -> None:
    """An old entry once more, at the end."""
    told.leaves.append(told.leaves[told.place(of_ada)])


def flip_verdict(told: Exported) -> None:
    """A refusal becomes an acceptance."""
    told.rewrite(told.place(a_refusal), verdict="accepted", refusal=None)


def cut_grant(told: Exported) -> None:
    """A grant's entry goes; what was said under it stays."""
    told.drop(told.place(lambda each: each["kind"] == "whose" and each["verdict"] == "accepted"))


def other_salt(told: Exported) -> None:
    """In opened.jsonl."""
    told.opened[9] = told.opened[9] | {"salt": one_bit(told.opened[9]["salt"])}


def other_words(told: Exported) -> None:
    """In opened.jsonl."""
    line = told.opened[9]
    told.opened[9] = line | {"event": line["event"] | {"source": "urn:else"}}


def other_digest(told: Exported) -> None:
    """The digest of another event."""
    index = told.place(of_ada)
    told.rewrite(index, digest=one_bit(members(told, index)["digest"]))


def other_nonce(told: Exported) -> None:
    """Which nobody without the key can tell from the true one."""
    index = told.place(of_ada)
    told.rewrite(index, sealed=part_changed(members(told, index), 2))


def other_signer(told: Exported) -> None:
    """Another key of the same name signs it all."""
    told.signer = Signer(told.signer.origin, bytes(32))


def line_lost(told: Exported) -> None:
    """A line of opened.jsonl, and the manifest knows it."""
    del told.opened[20]


def words_after_a_lost_line(told: Exported) -> None:
    """What is opened of Ada no longer begins at her first entry, and a later one is another."""
    hers = [at for at, each in enumerate(told.opened) if each["event"]["subject"] == ADA]
    line = told.opened[hers[-1]]
    told.opened[hers[-1]] = line | {"event": line["event"] | {"source": "urn:else"}}
    del told.opened[hers[0]]


def sham_representative(told: Exported) -> None:
    """Somebody whom nobody named speaks for Ada in a next entry, and nothing is opened."""
    told.opened = []
    all_of_it = [members(told, at) for at in range(len(told.leaves))]
    before = [each for each in all_of_it if each["subject"] == ADA and "sequence" in each][-1]
    sham = {"author": "partner:sam", "id": SHAM, "subject": ADA}
    first, *rest = before["sealed"].split(".")
    header = orjson.loads(from_b64url(first.encode())) | sham
    told.leaves.append(told.leaves[told.place(of_ada)])
    told.rewrite(
        len(told.leaves) - 1,
        **sham,
        onbehalfof=ADA,
        planversion=before["planversion"] + 1,
        recorded=all_of_it[-1]["recorded"],
        sealed=".".join(
            [b64url(orjson.dumps(header, option=orjson.OPT_SORT_KEYS)).decode(), *rest]
        ),
        sequence=before["sequence"] + 1,
    )


def from_the_future(member: str) -> Callable[[Exported], None]:
    """The last entry bears a time that has not come."""

    def change(export: Exported) -> None:
        export.rewrite(len(export.leaves) - 1, **{member: "2999-01-01T00:00:00.000Z"})

    return change


def newer_rules(export: Exported) -> None:
    """Rules that no version knows."""
    export.rewrite(export.place(a_refusal), rules=99)


def no_warnings(export: Exported) -> None:
    """An empty list, where an entry has none."""
    export.rewrite(export.place(of_ada), warnings=[])


def signed_twice(export: Exported) -> None:
    """The checkpoint bears the log's signature twice."""
    path = export.folder / "logs/0/checkpoint"
    note = path.read_text()
    path.write_text(note + note.rpartition("\n\n")[2])


def key_of_another_log(export: Exported) -> None:
    """Beside the log's own."""
    path = export.folder / "logs/0/log.vkey"
    path.write_text(f"{path.read_text()}{Signer('log.example/7', bytes(32)).vkey}\n")


def line_doubled(told: Exported) -> None:
    """A line of opened.jsonl stands there twice."""
    told.opened.insert(20, told.opened[20])


def flip(pattern: str) -> Callable[[Exported], None]:
    """One bit of a file."""
    return lambda told: told.flip(pattern)


def bit_in_bundle(told: Exported) -> None:
    """Of what is sealed in an entry; it is base64url as before."""
    path = min(told.folder.glob("logs/0/tile/entries/*"))
    raw = bytearray(path.read_bytes())
    sealed = raw.index(b"..") + 20  # past the nonce
    place = next(at for at in range(sealed, len(raw)) if bytes([raw[at], raw[at] ^ 1]).isalnum())
    raw[place] ^= 1
    path.write_bytes(raw)


def cut(told: Exported) -> None:
    """A bundle ends too soon."""
    path = min(told.folder.glob("logs/0/tile/entries/*"))
    path.write_bytes(path.read_bytes()[:-1])


@dataclass(frozen=True)
class InExport:
    """A tampering with an export, before it is written, or after."""

    says: str
    before: Callable[[Exported], object] = nothing
    after: Callable[[Exported], object] = nothing
    outside: bool = False
    require: str = ""


SIGNED = "with the log's key: "
IN_EXPORT = [
    InExport("one bit of a bundle of entries", after=bit_in_bundle),
    InExport("one bit of a tile", after=flip("logs/0/tile/0/000")),
    InExport("one bit of the checkpoint", after=flip("logs/0/checkpoint")),
    InExport("one bit of a kept checkpoint", after=flip("logs/0/checkpoints/300")),
    InExport("one bit of log.vkey", after=flip("logs/0/log.vkey")),
    InExport("one bit of manifest.json", after=flip("manifest.json")),
    InExport("a bundle cut off", after=cut),
    InExport("the checkpoint's signature doubled", after=signed_twice),
    InExport("a key of another log added to log.vkey", after=key_of_another_log),
    InExport("signed by another key of the same name", other_signer),
    InExport("a salt replaced in opened.jsonl", other_salt),
    InExport("an event replaced in opened.jsonl", other_words),
    InExport("a line of opened.jsonl doubled", line_doubled),
    InExport("a line of opened.jsonl lost", line_lost),
    InExport("the same, with `--require opened`", line_lost, require="opened"),
    InExport("the first line of a person lost, and a later one replaced", words_after_a_lost_line),
    InExport(f"{SIGNED}two entries swapped", swap),
    InExport(f"{SIGNED}an entry inserted", insert_copy),
    InExport(f"{SIGNED}a verdict flipped", flip_verdict),
    InExport(f"{SIGNED}a grant's entry removed", cut_grant),
    InExport(f"{SIGNED}a digest replaced", other_digest),
    InExport(f"{SIGNED}a nonce replaced", other_nonce),
    InExport(f"{SIGNED}an entry received in the future", from_the_future("received")),
    InExport(f"{SIGNED}an entry recorded in the future", from_the_future("recorded")),
    InExport(f"{SIGNED}rules that nobody knows", newer_rules),
    InExport(f"{SIGNED}an empty list of warnings", no_warnings),
    InExport(
        f"{SIGNED}somebody speaks for a person who never named them, with `--require opened`",
        sham_representative,
        require="opened",
    ),
    InExport(f"{SIGNED}the last entry dropped", drop_last),
    InExport("the same, and somebody kept a checkpoint (`--checkpoint`)", drop_last, outside=True),
]
