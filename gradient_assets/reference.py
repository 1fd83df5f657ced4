"""The parts of the documentation that follow from the code: `python -m gradient_assets.reference` writes them.

Belongs here: turning tables of the code (tables, reason codes, rules, settings, the registry's fields) into Markdown, and
putting it into `docs/`.  A file is written as a whole, or between the markers `<!-- generated: NAME -->` and
`<!-- end generated -->`.  Everything else in `docs/` is written by hand.  A test fails when a generated part is stale.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from gradient_assets import promises
from gradient_assets.deid.headers.profile import EDITION, NAMED, NOT_BUILT, OPTIONS, Profile
from gradient_assets.deid.headers.rules import Action, Rules, table
from gradient_assets.deid.reasons import ACCEPTABLE, EXPLANATIONS, Reason
from gradient_assets.hospitals import REPORT_ROLES
from gradient_assets.tables import ALL_TABLES, TableSpec
from resources.settings import SETTINGS

ROOT = Path(__file__).parents[1]
_NOTE = "<!-- Written by `python -m gradient_assets.reference`; change the code, not this file. -->"
_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end generated -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RegistryField:
    """One field of a hospital in `hospitals.yaml`, as `hospitals.load_registry` takes it."""

    name: str
    default: str
    meaning: str

    @property
    def needed(self) -> bool:
        """Whether a registry without it is refused."""
        return not self.default


REGISTRY_FIELDS = (
    RegistryField("id", "", "Partition key: 2–40 of `a`–`z`, `0`–`9` and `-`, a letter first. Never changes."),
    RegistryField("number", "", "Whole number from 1 to 3999: the integer partition in BigQuery. Never changes."),
    RegistryField(
        "buckets",
        "",
        "`dicoms` and `reports`: a URI (`s3://`, `gs://`, `file://`), or a folder relative to GRADIENT_HOME.",
    ),
    RegistryField(
        "report_columns", "", "Role: column name. `report_id` and `text` are needed, the other roles help (see below)."
    ),
    RegistryField(
        "delimiter", "`,`", "What stands between two fields of a report file: one to four characters, or `auto`."
    ),
    RegistryField("encoding", "`auto`", "An encoding that Python knows, or `auto`, which guesses per file."),
    RegistryField("date_order", "", "`mdy`, `dmy` or `ymd`: how dates in the columns of report files are written."),
    RegistryField("timezone", "", "A time zone of the IANA database. Checked and kept; no stage uses it yet."),
    RegistryField("profile", "", "`safe_harbor`, `longitudinal`, or the path of a profile file (`.yaml`)."),
    RegistryField(
        "reports.language", "`en`", "Language of reports and of descriptions in headers: `en`, `de`, `es` or `nl`."
    ),
    RegistryField(
        "reports.replacement",
        "`tags`",
        "`tags` (`[NAME]`), or `surrogates`: invented names, numbers and addresses of the same shape, moved dates.",
    ),
    RegistryField(
        "reports.undeclared_language",
        "`pass`",
        "`pass`, or `quarantine`: a report that looks like another language is refused.",
    ),
    RegistryField(
        "reports.detector",
        "``",
        "A detector beside the rules: `presidio`, or `transformer:` and the absolute path of a model's folder (extras of the "
        "same names).",
    ),
    RegistryField("reports.quote", '`"`', "The quote of report files; blank for none."),
    RegistryField("reports.escape", "``", "A sign before quotes within a field; without it quotes are doubled."),
    RegistryField(
        "pixels.triage",
        "`False`",
        "`true`: slices that show no sign of text are not looked at (docs/triage_and_faces.md). Releases look at every frame.",
    ),
    RegistryField(
        "pixels.audit_share", "`0.02`", "Share of what triage skips that is looked at all the same, 0.001 to 1."
    ),
    RegistryField(
        "store.endpoint", "``", "Address of the server of an S3 or GCS bucket that is not Amazon's or Google's."
    ),
    RegistryField("store.region", "``", "Region of the buckets; by default `GRADIENT_AWS_REGION`."),
    RegistryField(
        "store.credentials",
        "``",
        "As whom the buckets are opened: `secret`, `ambient`, `profile:NAME` or `role:ARN` (docs/stores.md); by default what "
        "`GRADIENT_BUCKET_CREDENTIALS` says.",
    ),
    RegistryField("store.external_id", "``", "With a role: the external id that its owner asks for. It is no secret."),
    RegistryField(
        "store.web_identity_token_file",
        "``",
        "With a role: the file of the token that is exchanged for it, read each time.",
    ),
    RegistryField("store.requester_pays", "`False`", "`true`: the platform pays for what it reads from the buckets."),
    RegistryField(
        "store.versions",
        "`False`",
        "`true`: the buckets keep versions; each object's is recorded. Listing then needs the right `s3:ListBucketVersions`.",
    ),
    RegistryField(
        "look_every_s",
        "`60`",
        "Seconds between two looks of the hospital's sensor at its buckets, 60 to 86400. A look costs a request for "
        "each 1,000 objects (docs/scaling.md).",
    ),
    RegistryField("secret_name", "", "Name of the hospital's key in the vault, like `hospital/st-mary`."),
)
"""The fields, in the order of the example; a test compares them with what the reader takes and needs."""

RELEASE_FIELDS = (
    RegistryField(
        "releases.approvals", "`1`", "0 to 2: how many people, none of them who asked for it, approve a release."
    ),
    RegistryField(
        "releases.smallest_class",
        "`1`",
        "Patients of a release that have to share sex, ages and study years, 1 to 1000; a smaller class stops it.",
    ),
    RegistryField(
        "releases.smallest_cell", "`11`", "Groups of fewer patients are hidden in the report of a release, 1 to 1000."
    ),
    RegistryField(
        "releases.approvers", "`()`", "A list of the names of those who may approve a release; without it anybody may."
    ),
    RegistryField(
        "releases.unread_pixels",
        "`False`",
        "`true`: a release may leave whose pictures nobody has read after writing (`GRADIENT_VERIFYING_READER=none`).",
    ),
    RegistryField(
        "releases.distinct_accounts",
        "`False`",
        "`true`: who asks for a release and who approve it must each have run the command from an account of their own.",
    ),
)
"""The fields of the section `releases`, beside `hospitals`; a test compares them with what the reader takes."""

_ACTIONS: dict[Action, str] = {
    Action.KEEP: "value is checked against its VR and kept; a sequence is cleaned item by item",
    Action.REMOVE: "element is removed",
    Action.EMPTY: "element stays, without a value",
    Action.DUMMY: "value is replaced by a dummy one; a sequence is cleaned item by item",
    Action.CLEAN: "text goes through the report engine; a sequence is cleaned item by item",
    Action.UID: "UID is replaced by a new one under 2.25, the same everywhere",
    Action.DATE: "date or time as the profile's `dates` says: shifted, or cut to the year",
    Action.PATIENT_NAME: "the patient's pseudonym",
    Action.PATIENT_ID: "the patient's pseudonym",
    Action.ACCESSION: "the accession number's pseudonym",
    Action.BIRTH_DATE: "as the profile's `birth_date` says",
    Action.UNLISTED: "element is removed: no rule knows it",
    Action.PRIVATE: "private element is removed: it is not known to be safe",
}


def tables_page() -> str:
    """`docs/tables.md`: each table with its columns, and why they may cross the boundary."""
    lines = ["# Tables", "", _NOTE, ""]
    lines += [
        "Every table of the warehouse, in the order of the diagram. The source is `gradient_assets/tables`.",
        "",
    ]
    lines += [
        "The last column of de-identified and public tables says why a column may cross the boundary. A value marked with "
        "a form has to match it in full, or the record is refused (`boundary_refused`). That is checked for the rows that "
        "stages build; `final_table`, `prod` and `public_table` are SQL over them.",
        "",
    ]
    for spec in ALL_TABLES:
        lines += _table_section(spec)
    return "\n".join(lines).rstrip() + "\n"


def _table_section(spec: TableSpec) -> list[str]:
    crosses = spec.zone != "identified"
    lines = [f"## {spec.full_name}", "", spec.description, ""]
    facts = [f"Partitioned by {spec.partitioned_by}", f"sorted by {_codes(spec.sort_by)}"]
    if spec.cluster_by:
        facts.append(f"clustered by {_codes(spec.cluster_by)}")
    lines += ["; ".join(facts) + ".", ""]
    heading = ["column", "type", "meaning", *(["why it may cross"] if crosses else [])]
    rows = []
    for column in spec.columns:
        row = [f"`{column.name}`", column.type + ("" if column.required else ", may be null"), column.description]
        if crosses:
            row.append(f"{column.crossing}; form `{column.pattern}`" if column.pattern else column.crossing)
        rows.append(row)
    return [*lines, *_grid(heading, rows), ""]


def reasons_table() -> str:
    """The reason codes with what they mean and what to do."""
    return "\n".join(
        _grid(
            ["reason", "what it means", "what to do"],
            [[f"`{reason}`", EXPLANATIONS[reason].meaning, EXPLANATIONS[reason].remedy] for reason in Reason],
        )
    )


def acceptable_table() -> str:
    """The reason codes that a person may accept as a false alarm."""
    codes = [reason for reason in Reason if reason in ACCEPTABLE]
    return "\n".join(_grid(["reason", "what it means"], [[f"`{code}`", EXPLANATIONS[code].meaning] for code in codes]))


def sop_classes_table() -> str:
    """The SOP Classes that are refused by name, and the number of those that are cleaned."""
    classes = table("sop_classes")["classes"]
    counts = Counter(policy == "clean" for _, _, policy, _ in classes)
    refused = [
        [name, f"`{uid}`", f"`{policy.removeprefix('refuse:')}`", why]
        for uid, name, policy, why in classes
        if policy != "clean"
    ]
    return "\n".join(
        [
            f"{counts[True]} SOP Classes are cleaned. These {counts[False]} are refused by name; a class that the table does "
            "not list is refused as `sop_class_not_admitted`.",
            "",
            *_grid(["SOP Class", "UID", "reason", "why"], refused),
        ]
    )


def profiles_page() -> str:
    """`docs/profiles.md`: what each named profile does to each tag of Table E.1-1 and beyond."""
    profiles = {name: Profile.named(name) for name in NAMED}
    rules = {name: Rules(profile) for name, profile in profiles.items()}
    lines = ["# Profiles, tag by tag", "", _NOTE, ""]
    lines += [
        f"What becomes of each attribute of PS3.15 Table E.1-1 (edition {EDITION}), of the attributes that this project adds "
        "to it, and of everything else. Private elements stay only if Table E.3.10-1 lists them under their creator, in "
        "whatever block, and they are no bulk data (25 of its 479 rows are OB, OW or of no VR; none of them is known to be a "
        "number, and a blob may be a picture nobody looks at).",
        "",
        "## The named profiles",
        "",
    ]
    lines += _grid(
        ["profile", "dates", "birth date", "options"],
        [
            [f"`{name}`", f"`{p.dates}`", f"`{p.birth_date}`", _codes(sorted(p.options), separator=", ")]
            for name, p in profiles.items()
        ],
    )
    lines += ["", "## Actions", ""]
    lines += _grid(["action", "what happens"], [[f"`{action}`", _ACTIONS[action]] for action in Action])
    lines += [
        "",
        "A compound code (X/Z/D) is decided by the Type that the attribute has in the instance's SOP Class at its own place, "
        "as `tables/iod_types.json` says: removed where it is Type 3 or the IOD does not have it, emptied where it is Type 2 "
        "or 2C, a dummy where it is Type 1 or 1C or where the class or sequence is not known. Three actions in a cell "
        "are those for Types 3, 2 and 1. References (X/Z/U*) keep their items with new UIDs at every Type. A plain X "
        "or Z leaves a dummy "
        "where the attribute is Type 1, and X no value where it is Type 2, so that the object stays valid.",
        "",
        "An element whose value can't be kept as its action asks (a date that is none) is removed where it is Type 3, "
        "emptied "
        "where Type 2, and gets a dummy where Type 1; one that can't be read is removed. A sequence whose action is `dummy` "
        "ends with one item that says nothing. Overlays and curves are taken out by the pixel engine as well. Of graphics "
        "drawn over a picture points, circles and ellipses stay, twelve of an instance; polylines and compound graphics, which "
        "may be handwriting, go. Graphic layers are named `LAYER1`, `LAYER2` … wherever they are named.",
        "",
        "## A profile of your own",
        "",
        "A YAML file with the fields `name`, `edition`, `options`, `dates` (`keep`, `shift`, `year` or `remove`) and "
        "`birth_date` (`empty`, `shift`, `year`). `dates: keep` and `dates: shift` are the two Retain Longitudinal "
        "options; `remove` is the "
        "basic profile without either: dates get their code of the table, and columns and texts beside the header the "
        "year at "
        "most. Options that can be listed: "
        + _codes(_selectable())
        + ". "
        + _codes(sorted(NOT_BUILT))
        + " is refused, "
        "because nothing would do it. Where two options name one row: dates that are shifted or cut win over Retain Device "
        "Identity, then what is retained, then what is cleaned; no row of the table is kept by one option and cleaned by "
        "another otherwise. Pixels are always cleaned; `clean_pixel_data` does not switch it, and its code 113101 is "
        "stated only by "
        "the pixel engine. Three more fields, of which the first choice holds unless the file says otherwise: "
        "`encapsulated_documents` (`quarantine`, or `images`: the pages of a PDF are drawn, lines that identify are blacked "
        "out, and the pictures are delivered; `gradient deidentify` only), `scanned_forms` (`quarantine`, or `clean` like "
        "any picture), `burned_in_text` (`remove`, or `keep_marks`: marks of side and view, measures with units and scales "
        "stay where they are read surely; a measure of four digits before the point, or one that is also a day and month, like "
        "12.05 mm, goes, and so does a mark that is a usual surname). A code of CID 7050 is written into "
        "an instance only if at least one element of it was kept, "
        "moved or "
        "examined under that option; 113100 always.",
        "",
    ]
    lines += ["## Table E.1-1", "", "`basic` is the standard's code: X remove, Z empty, D dummy, U new UID.", ""]
    listed = table("ps3.15_table_e.1-1")["rows"]
    heading = ["tag", "name", "basic", *(f"`{name}`" for name in NAMED)]
    lines += _grid(heading, [[_tag(t), n, code, *_resolved(t, rules.values())] for t, n, code, _ in listed])
    lines += ["", "## Beyond Table E.1-1", "", "Attributes that the standard's table does not list.", ""]
    beyond = table("beyond_the_table")["rows"]
    lines += _grid(
        ["tag", "why", "code", *(f"`{name}`" for name in NAMED)],
        [[_tag(t), why, code, *_resolved(t, rules.values())] for t, code, why in beyond],
    )
    lines += ["", "## Texts about devices and techniques", ""]
    lines += [
        "Table E.1-1 lists none of these. Their text stays as it is, unless it holds a known identifier of the "
        "patient, a UID, "
        "an address, or a name of a person or an institution that is not a maker's. Then it goes through the report engine.",
        "",
        *_grid(["tag", "keyword"], [[_tag(t), f"`{keyword}`"] for t, keyword in table("technical_text")["rows"]]),
    ]
    lines += ["", "## Attributes of the dictionary that no table lists", ""]
    lines += [
        "By value representation: text is cleaned, dates as the profile says, UIDs replaced, names replaced by a dummy, "
        "numbers, codes and sequences kept (sequences item by item). Application entities, URLs, unknown bulk data and "
        "tags that are not in the dictionary are removed.",
    ]
    return "\n".join(lines) + "\n"


def _resolved(tag: str, rules: Iterable[Rules]) -> list[str]:
    if tag == "private":
        return [f"`{Action.PRIVATE}`, unless known to be safe" for _ in rules]
    number = int(tag.replace("X", "0"), 16)
    cells = []
    for one in rules:
        by_type = one.by_type(number, "LO")
        cells.append(" / ".join(f"`{action}`" for action in (by_type if _is_compound(tag) else by_type[:1])))
    return [_same(cell) for cell in cells]


def _is_compound(tag: str) -> bool:
    return any("/" in basic for listed, _, basic, _ in table("ps3.15_table_e.1-1")["rows"] if listed == tag)


def _same(cell: str) -> str:
    """Three equal actions are one."""
    return cell if len(set(cell.split(" / "))) > 1 else cell.split(" / ")[0]


def _selectable() -> list[str]:
    return [one for one in OPTIONS if one not in NOT_BUILT and not one.startswith("retain_longitudinal")]


def _tag(tag: str) -> str:
    return tag if tag == "private" else f"({tag[:4]},{tag[4:]})"


def settings_table() -> str:
    """The environment variables of `resources.settings`."""
    return "\n".join(
        _grid(
            ["variable", "default", "meaning"],
            [
                [f"`{s.name}`", f"`{s.default}`" if s.default else "", s.meaning + _choices(s.choices, s.meaning)]
                for s in SETTINGS
            ],
        )
    )


def _choices(choices: Sequence[str], meaning: str) -> str:
    missing = [choice for choice in choices if choice and f"`{choice}`" not in meaning]
    return f" One of {_codes([c for c in choices if c], separator=', ')}." if missing else ""


def registry_table() -> str:
    """The fields of a hospital, and the roles that columns of report files can have."""
    fields = [[f"`{f.name}`", "" if f.needed else f.default, f.meaning] for f in REGISTRY_FIELDS]
    roles = _codes(REPORT_ROLES, separator=", ")
    return "\n".join(
        [
            *_grid(["field", "default", "meaning"], fields),
            "",
            f"A field without a default is needed. Roles of `report_columns`: {roles}.",
            "",
            "Beside `hospitals` a registry may have a section `releases`:",
            "",
            *_grid(["field", "default", "meaning"], [[f"`{f.name}`", f.default, f.meaning] for f in RELEASE_FIELDS]),
        ]
    )


def rows_table(rows: Callable[[], Sequence[Sequence[str]]]) -> str:
    """Rows, the heading first."""
    heading, *others = rows()
    return "\n".join(_grid(heading, others))


def _codes(names: Iterable[str], separator: str = ", ") -> str:
    return separator.join(f"`{name}`" for name in names)


def _grid(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


PAGES: dict[str, Callable[[], str]] = {"docs/tables.md": tables_page, "docs/profiles.md": profiles_page}
"""Files that are generated as a whole."""

PARTS: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "registry": registry_table,
    "reasons": reasons_table,
    "acceptable": acceptable_table,
    "sop-classes": sop_classes_table,
    "guarantees": partial(rows_table, promises.guarantee_rows),
    "safe-harbor": partial(rows_table, promises.safe_harbor_rows),
    "mutations": partial(rows_table, promises.mutation_rows),
    "redteam": partial(rows_table, promises.redteam_rows),
    "redteam-residual": partial(rows_table, promises.redteam_residual_rows),
    "object-keys": partial(rows_table, promises.object_key_rows),
    "message-values": partial(rows_table, promises.message_rows),
}
"""Parts of files written by hand, by the name in their marker."""

HOSTS = ("docs/operations.md", "docs/quarantine.md", "docs/boundary.md")
"""Files with such parts."""


def filled(text: str) -> str:
    """The text with every generated part written anew.  Raises `KeyError` for a marker with an unknown name."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}", text)


def rendered(root: Path = ROOT) -> dict[str, str]:
    """Path → text of every file that holds something generated, as it should be."""
    pages = {path: page() for path, page in PAGES.items()}
    return pages | {path: filled((root / path).read_text(encoding="utf-8")) for path in HOSTS}


@click.command()
def main() -> None:
    """Write the generated parts of the documentation of this checkout."""
    for path, text in rendered().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        click.echo(path)


if __name__ == "__main__":
    main()
