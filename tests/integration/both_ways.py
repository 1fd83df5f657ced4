"""Two runs of the platform side by side: the same rows, whatever their work was called.

Belongs here: comparing tables of which one was made from folders and the other one from S3.  A work token is a keyed name of
an input's key, etag and size, and a folder's etag is a time and a size, S3's a digest: tokens differ.  So they are compared
as names: each token of the one run has to stand for exactly one of the other, in all tables alike.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

UNLIKE = {"etag", "object_version", "run_id", "sealed"}
"""Columns that say where or when a run took place, or hold ciphertext under a fresh nonce."""


def rows_of(warehouse, spec):
    """All rows of a table, in no order."""
    return [row for batch in warehouse.scan(spec) for row in batch.to_pylist()]


def content(row):
    """What is to be equal in a row, but for the token."""
    return repr(sorted((name, value) for name, value in row.items() if name not in UNLIKE | {"work_token"}))


@dataclass
class Renaming:
    """Which token of the second run stands for which one of the first."""

    names: dict[str, str] = field(default_factory=dict)
    contradictions: int = 0

    def learn(self, first, second):
        """Take the tokens of those rows of a table whose content occurs once."""
        tokens = [defaultdict(set), defaultdict(set)]
        for side, rows in zip(tokens, (first, second), strict=True):
            for row in rows:
                if "work_token" in row:
                    side[content(row)].add(row["work_token"])
        for key in tokens[0].keys() & tokens[1].keys():
            (one, *more), (other, *others) = sorted(tokens[0][key]), sorted(tokens[1][key])
            if not more and not others and self.names.setdefault(other, one) != one:
                self.contradictions += 1

    @property
    def is_one_to_one(self):
        """Whether no token stands for two, on either side."""
        return not self.contradictions and len(set(self.names.values())) == len(self.names)

    def differences(self, first, second):
        """Rows of the one run that the other one has not, each with how many more there are."""
        left = Counter((content(row), row.get("work_token")) for row in first)
        right = Counter((content(row), self.names.get(row.get("work_token"))) for row in second)
        return (left - right) + (right - left)
