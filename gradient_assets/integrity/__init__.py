"""Integrity: what every table partition and object was when it was written, and whether it still is.

Reading order: `origins` (which tables belong to one stage, and where its rows' origin is kept), `records` (one record per
table partition: key, SHA-256, rows, run), `recorded` (the warehouse that compares the key before each write and records
after it, and lets one stage of a partition commit at a time), `given` (what each stage was given), `balance` (whether it came
out, was refused or withdrawn), `recheck` (reads everything again and compares).  Belongs here: nothing that knows what a row
means.  Whether an identifier is left in what was written, `deid.verify` and `checks` search.
"""
