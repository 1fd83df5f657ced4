"""A second generator of reports, whose wording the engine's rules were not written for.

Whoever writes rules reads neither `templates.txt` nor `phrases.txt` nor `names.json`, only the classes that
`python -m tests.unit.text.unseen score --seed N` prints.  Seeds fall into three families (`seed % 3`): each has a third
of the names, and lacks a third of the templates.  Figures before any rule was changed are the honest ones; later ones say less.

Reading order: `people`, `dates`, `marks` (how values are written), `generator` (reports with gold spans), `scoring`,
`__main__` (printing).
"""
