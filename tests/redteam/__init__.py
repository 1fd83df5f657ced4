"""An attack on the whole graph: 210 identifiers of 21 kinds, planted where the issues name a place and where they don't.

Reading order: `plan.txt` (what is planted where, one line each), `values` (identifiers of people who never lived),
`elements`, `containers`, `pictures` and `reports` (how each is put there), `hospital` (one hospital with all of it),
`search` (is it anywhere outside the identified zone?), `outcome` (who caught it), `run`, `test_redteam`.
`redteam.json` is what was last reviewed; `python -m tests.redteam` writes it anew.
"""
