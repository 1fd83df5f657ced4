"""`gradient rotate`: a new version of a hospital's or a recipient's key.

Belongs here: arguments and printing.  Making the version and recording it is `resources.key_records`' business, linking
old pseudonyms to new ones that of the asset `crosswalk` at the next run.
"""

from __future__ import annotations

import click

from gradient_assets.cli.crosswalk import asker
from gradient_assets.cli.run import Platform
from gradient_assets.crosswalk import check_words


@click.command()
@click.option("--hospital", "-H", default=None, metavar="H", help="Rotate the key of this hospital.")
@click.option("--recipient", default=None, metavar="R", help="Rotate the key of this recipient of releases.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the record of the key. Name nobody in it.")
@click.option("--by", default=None, metavar="NAME", help="Who rotates; by default the user of this process.")
def rotate(hospital: str | None, recipient: str | None, reason: str, by: str | None) -> None:
    """Make a new version of one key and take it into use. Tables change at the next run, not before.

    Older versions stay in the vault. Let no run of the hospital be under way. Broken off, run it once more.
    """
    if (hospital is None) == (recipient is None):
        raise click.UsageError("Name one hospital (--hospital H) or one recipient (--recipient R).")
    by = asker(by)
    check_words(by, reason)
    platform = Platform.open()
    if hospital is not None:
        name = platform.registry.get(hospital).secret_name
        sharing = [one.id for one in platform.registry if one.secret_name == name]
        then = "; ".join(f"gradient run -H {one}" for one in sharing)
        what = f"Until then tables hold pseudonyms of version {{}}. To make them anew: {then}"
    else:
        name = f"recipient/{recipient}"
        what = "Releases delivered before keep pseudonyms of version {}; ones made from now on can't be linked to them."
    before, after = platform.resources.keys.rotate(name, by=by, reason=reason)
    click.echo(f"Key '{name}': version {after.version} (fingerprint {after.fingerprint}) is in use.")
    click.echo(what.format(before.version))
    click.echo(f"Version {before.version} stays in the vault for the way back. Keep a copy of both.")
