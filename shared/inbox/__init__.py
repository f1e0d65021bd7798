"""The inbox: what both services share at run time, and the contract of every key in it.

    firsthand:{p<n>}:inbox      stream; what is not yet recorded, and nothing else. Each message
                                has one field, `e`: the sealed event
    firsthand:{p<n>}:wake       "a bell was rung"; deleted first by a drain; expires after 30 s
    firsthand:{p<n>}:done:<id>  list with one sealed receipt, for a request that waits; 60 s
    firsthand:{p<n>}:published  the last published checkpoint of log n; its size never falls
    firsthand:{p<n>}:waiting    why the partition waits, in words; expires after 60 s
    firsthand:{p<n>}:moved      how many messages of the stream were moved to other partitions
    firsthand:{p<n>}:added      how many messages were added to the stream before it was emptied or
                                replaced, as far as an intake saw it; the worker takes it away
    firsthand:{p<n>}:trying     the batch that a worker is judging, if it is large or was cut down
                                (services/ledger/writer/batch_size.py)
    firsthand:{p<n>}:held-full  set of people, as aliases, of whom as many messages are held back as
                                may be; intake takes no more about them; expires after 60 s
    firsthand:{p<n>}:probe      written by intake each second, to see whether an event would be
                                safe; for one partition on each server; expires after 60 s
    firsthand:layout            on each server: how many partitions the ledger has, and which of the
                                servers this is, in words (shared/inbox/partition_layout.py); said
                                by the worker
    firsthand:{p<n>}:pace:<key> when what a caller brought would be through, in microseconds since
                                1970; the key is a keyed hash of the caller; expires when past

Publishing (shared/inbox/group_commit.py): one script per call (limits, XADDs in order, SET wake NX
EX 30; shared/inbox/publish_script.py), then the durability check, then, if the flag was new, the
bell, whatever the durability said. Messages are removed by the projector alone, after its commit.
There is no MAXLEN, no consumer group, no dedupe here: the same event may stand here twice, and the
ledger records it once.

Everything in it is sealed (shared/crypto/transit.py).
"""
