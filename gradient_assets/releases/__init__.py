"""The release gate: asked for, made, verified, approved by other people, delivered, revoked.

Reading order: `requests` (a name, a recipient, a cohort), `states` (the sealed log of what became of it, and who said so),
`manifest` (what it holds, and the digest that an approval is bound to), `verification` (what the blocking checks found),
`statistics` (counting people without showing small groups), `evidence` (all that the report says), `charts`, `pictures` and
`report` (the page), `delivery` (the one way out, and back), `revision` (which code made it).

Belongs here: everything between a request and the recipient's folder, as plain functions over the stores.  Cleaning the
objects is the business of `pipelines.release`, running it that of `assets.public`, asking for it that of `cli.release`.
"""

from gradient_assets.releases.manifest import manifest_digest
from gradient_assets.releases.requests import (
    PREPARED,
    Release,
    ReleaseError,
    load_release,
    release_names,
    save_release,
    without_faces,
)
from gradient_assets.releases.verification import CheckOutcome, keep_outcome

__all__ = [
    "PREPARED",
    "CheckOutcome",
    "Release",
    "ReleaseError",
    "keep_outcome",
    "load_release",
    "manifest_digest",
    "release_names",
    "save_release",
    "without_faces",
]
