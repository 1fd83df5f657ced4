"""A bench for the finders: lines of text rendered into real pictures without text, counted line by line.

Belongs here: `lettering` (fonts and the stencils they leave), `planting` (real pictures, and lines put into their stored
values), `scoring` (what was covered, what clean area it cost, every miss with its class).  What the figures are compared
with stands in `benchmarks/pixels.py`.

    python -m tests.unit.pixels.bench DICOM_FOLDER --seed 1 --lines 2

Seeds below 100 may be looked at while a recipe is changed.  Seeds from 100 on are scored once per change, and their misses
are not looked at before the next one.
"""
