"""A benchmark after MIDI-B: identifiers planted in real files, an answer key, and a scorer that knows the key only.

Reading order: `answers` (what a key says), `people.json` and `wording.json` (made-up people, what is written of them),
`sites` and `containers` (where things are planted), `planting` (one file with its key), `scoring` (the ten action types),
`bench` (base files, cleaning, the table).  `python -m tests.midi SEED` prints the table for any seed.
Action types: MIDI-B, arXiv 2507.23608.  Two halves: `seen`, which may be looked at while working on the engines, and
`held_out`, with other base files, people and wording.
"""
