"""DICOM headers: read within bounds, judged by SOP Class, cleaned by PS3.15 Annex E, written anew.

Reading order: `contract` (what goes in and out), `read`, `elements`, `charsets` and `misdeclared` (what a file says), `gather`
(columns and identifiers), `policy` (what is admitted), `profile`, `iod_types`, `rules` (Table E.1-1 with its options and
Types), `retained`, `values`, `dates`, `uids`, `dummies` (how one value changes), `engine` (the walk), `methods`,
`rewriting`, `write`, `jsonheader`.
Pixels are `deid.pixels`', free text is `deid.text`', keys and pseudonyms are `deid.identity`'s.
"""

from gradient_assets.deid.headers.contract import CleanedHeader, TextCleaner
from gradient_assets.deid.headers.engine import ENGINE_VERSION, HeaderEngine
from gradient_assets.deid.headers.gather import columns_of, identifiers_of
from gradient_assets.deid.headers.jsonheader import from_json_header, to_json_header
from gradient_assets.deid.headers.methods import add_method_codes
from gradient_assets.deid.headers.policy import admit
from gradient_assets.deid.headers.profile import Profile, ProfileError
from gradient_assets.deid.headers.read import read_dataset
from gradient_assets.deid.headers.retained import without as without_retained
from gradient_assets.deid.headers.rewriting import rewrite_texts
from gradient_assets.deid.headers.uids import is_well_known as is_well_known_uid
from gradient_assets.deid.headers.uids import replaced as replaced_uid
from gradient_assets.deid.headers.write import write_dataset

__all__ = [
    "ENGINE_VERSION",
    "CleanedHeader",
    "HeaderEngine",
    "Profile",
    "ProfileError",
    "TextCleaner",
    "add_method_codes",
    "admit",
    "columns_of",
    "from_json_header",
    "identifiers_of",
    "is_well_known_uid",
    "read_dataset",
    "replaced_uid",
    "rewrite_texts",
    "to_json_header",
    "without_retained",
    "write_dataset",
]
