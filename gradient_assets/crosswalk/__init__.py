"""The way back from a pseudonym to its original, sealed in the identified zone, and who took it.

Reading order: `originals` (which ids of a record have a pseudonym), `rows` (one row, sealed and opened), `build` (bringing a
hospital's partition up to date, also after a rotation; forgetting a patient), `way_back` (one pseudonym's original, for a
recipient's copy too), `log` (every use, written before anything is shown).
Pseudonyms are derived, never drawn: the crosswalk is not needed to make them.  It is needed to go back, also when the
original is gone from bucket and tables, or when the key was rotated since.
"""

from gradient_assets.crosswalk.build import CrosswalkCounts, bring_up_to_date, forget
from gradient_assets.crosswalk.log import Use, check_words, record
from gradient_assets.crosswalk.rows import CrosswalkError, Entry, HospitalKeys, opened
from gradient_assets.crosswalk.way_back import Question, UnknownPseudonym, answer, everything

__all__ = [
    "CrosswalkCounts",
    "CrosswalkError",
    "Entry",
    "HospitalKeys",
    "Question",
    "UnknownPseudonym",
    "Use",
    "answer",
    "bring_up_to_date",
    "check_words",
    "everything",
    "forget",
    "opened",
    "record",
]
