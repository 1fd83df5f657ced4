"""The local stand: real servers and engines on one machine, for tests against them and for `gradient dev`.

Reading order: `recipes` (how a part comes onto the machine), `server` with `guard` (one process, from start to end), `part`
(the interface), `stores`, `bigquery`, `runners`, `postgres` (the parts), `stand` (all of them, behind `gradient dev`).
Belongs here: fetching, starting and stopping.  What is done with a running part is `resources`' business, as in production:
nothing of the platform but the command imports this package.

It lies in the package and not beside the tests, because `gradient dev` has to work where only the package is installed.
"""
