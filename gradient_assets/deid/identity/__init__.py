"""Who a patient becomes: keys, pseudonyms, new UIDs and the date shift, all derived, none stored.

Reading order: `keys` (256-bit secrets and the file that holds one), `pseudonyms` (what is derived from a key).
Belongs here: every derivation from a key.  Where keys are kept beyond a file is `resources.vault`'s business.
"""

from gradient_assets.deid.identity.keys import KeyFileError, SecretKey, create_key_file, read_key_file
from gradient_assets.deid.identity.pseudonyms import MAX_SHIFT_DAYS, Person, Pseudonymizer

__all__ = [
    "MAX_SHIFT_DAYS",
    "KeyFileError",
    "Person",
    "Pseudonymizer",
    "SecretKey",
    "create_key_file",
    "read_key_file",
]
