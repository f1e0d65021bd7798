"""Inbox: the queue between the two services, and the contract of every Redis key in it.

    firsthand:{p<n>}:inbox      stream of the messages that are not recorded yet. Each message has
                                one field, `e`: the encrypted event
    firsthand:{p<n>}:wake       flag that a bell was rung; a drain deletes it first; expires after
                                30 s
    firsthand:{p<n>}:done:<id>  list with one encrypted receipt, for a waiting request; expires
                                after 60 s
    firsthand:{p<n>}:published  the last published checkpoint of log n; its size never decreases
    firsthand:{p<n>}:waiting    why the partition waits, in words; expires after 60 s
    firsthand:{p<n>}:moved      number of messages of the stream moved to other partitions
    firsthand:{p<n>}:added      number of messages added to the stream before it was emptied or
                                replaced, as an intake counted them; the worker deletes it
    firsthand:{p<n>}:trying     the batch that a worker is processing, if it is large or was split
                                (services/ledger/writer/batch_size.py)
    firsthand:{p<n>}:held-full  set of aliases of the people for whom no more messages can be held
                                back; intake rejects events about them; expires after 60 s
    firsthand:{p<n>}:probe      written by intake every second, to measure durability; for one
                                partition per server; expires after 60 s
    firsthand:layout            on every server: the ledger's number of partitions, and the number
                                of the server, in words (shared/inbox/partition_layout.py); written
                                by the worker
    firsthand:{p<n>}:pace:<key> rate limit of a caller (GCRA): a time in microseconds since 1970;
                                <key> is a keyed hash of the caller; expires at that time

Publishing (shared/inbox/group_commit.py): one script call (limits, XADDs in order, SET wake NX
EX 30; shared/inbox/publish_script.py), then the durability check, then the bell if the flag was
new, whatever the durability check returned. Only the projector deletes messages, after its commit.
There is no MAXLEN, no consumer group and no deduplication in the queue: the stream may contain
duplicates, and the ledger records each event once.

All messages and receipts are encrypted (shared/crypto/transit.py).
"""
