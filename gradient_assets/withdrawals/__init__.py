"""Withdrawal: a patient disappears from everything, and stays away.

Reading order: `tombstones` (who is withdrawn, as keyed digests: what workers get), `register` (the records of a hospital's
withdrawals in the identified zone), `traces` (under which keyed names a patient stands in our tables), `sweep` (taking rows
and thumbnails away), `deliveries` (releases and their recipients), `withdraw` (the order of it all), `absence` (proving it).
Belongs here: everything that knows that somebody was withdrawn.  The hospital's own buckets are never changed.

What holds while a run goes on: tombstones are written before anything is looked for or removed, and every stage sweeps its
table after its commit.  A stage that commits before the tombstone is seen by the withdrawal, one that commits after it sees
the tombstone.  A withdrawal says that it is at work (`register.working`): checks that find something meanwhile wait for it
and look again, since half a withdrawal looks like a breach.
"""
