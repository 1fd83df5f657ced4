"""Who may do what under the policies of `deploy/`, as a whole table; an edit that widens a right fails here."""

import copy
import json
import re

import pytest

from gradient_assets.quarantine.decisions import PREFIX as QUARANTINE
from gradient_assets.releases.states import PREFIX as STATES
from gradient_assets.releases.states import REVOKED_PREFIX
from gradient_assets.review.decisions import PREFIX as REVIEWS
from gradient_assets.tables import ALL_TABLES
from gradient_assets.withdrawals.register import PREFIX as WITHDRAWALS
from resources import SETTINGS, Settings, resources_for
from resources.buckets.object_store import Bucket
from resources.warehouses.bigquery_tables import TIME_TRAVEL_HOURS
from resources.warehouses.warehouse import ZONES
from tests.unit.deploy.policies import (
    ACCOUNT,
    DEPLOY,
    GOOGLE_ROLES,
    KEYS,
    OWN_BUCKETS,
    PREFIX,
    REGION,
    Place,
    Request,
    aws_allows,
    aws_bucket_documents,
    aws_documents,
    google_allows,
    google_grants,
)

LAYOUT = json.loads((DEPLOY / "layout.json").read_text())["settings"]
BY_ZONE = {
    zone: sorted((place["bucket"], place["prefix"]) for place in LAYOUT.values() if place["zone"] == zone)
    for zone in ("identified", "deidentified")
}
WRITTEN_ONCE = ("_states", "_revoked", "_quarantine", "_reviews", "_withdrawals")
"""Logs below the requests: approvals, revocations, decisions about the quarantine and of reviewers, withdrawals."""

PLACES = {
    "landing/st-mary": ("st-mary-images", "radiology/a.dcm"),
    "landing/st-mary, another prefix": ("st-mary-images", "billing/a.csv"),
    "landing/lakeside": ("lakeside-images", "radiology/a.dcm"),
    "landing/lakeside, another prefix": ("lakeside-images", "billing/a.csv"),
    **{
        f"{zone}/{prefix}": (f"{PREFIX}-{bucket}", f"{prefix}/x")
        for zone in BY_ZONE
        for bucket, prefix in BY_ZONE[zone]
    },
    **{f"identified/{log}": (f"{PREFIX}-logs", f"release_requests/{log}/spring/1.json") for log in WRITTEN_ONCE},
    "identified, any other log": (f"{PREFIX}-logs", "whatever/x"),
    "identified, anything else": (f"{PREFIX}-identified", "whatever/x"),
    "deidentified, anything else": (f"{PREFIX}-deidentified", "whatever/x"),
    "deidentified, unfinished": (f"{PREFIX}-deidentified", "thumbnails/_staging/x"),
    "public/releases of uni-x": (f"{PREFIX}-public", "releases/uni-x/spring/dicom/1.dcm"),
    "public/releases of uni-y": (f"{PREFIX}-public", "releases/uni-y/spring/dicom/1.dcm"),
    "public/releases of uni-xx": (f"{PREFIX}-public", "releases/uni-xx/spring/dicom/1.dcm"),
    "public, prepared": (f"{PREFIX}-public", "releases/_prepared/uni-x/spring/1.dcm"),
    "public, anything else": (f"{PREFIX}-public", "whatever/x"),
    "somebody else's bucket": ("another-bucket", "x"),
}
SECRETS = (
    "hospital/st-mary",
    "hospital/st-mary/v2",
    "hospital/st-mary/bucket",
    "recipient/uni-x",
    "platform/diagnostics",
)


KEYS_OF_ACCOUNTS = ("zone/identified", "zone/deidentified", "zone/public", "zone/external")
"""Keys of accounts of Google's: from Amazon, BigQuery is opened with them."""
OTHERS_SECRETS = ("database", "gradient-of-others")
LISTED = {
    **{
        f"list landing/{hospital}: {prefix}": (f"{hospital}-images", prefix)
        for hospital in ("st-mary", "lakeside")
        for prefix in ("radiology/", "billing/", "")
    },
    **{
        f"list {zone}: {prefix}": (f"{PREFIX}-{bucket}", prefix)
        for zone, bucket in ((*((zone, zone) for zone in ZONES), ("identified, logs", "logs")))
        for prefix in (
            "",
            *(f"{place['prefix']}/" for place in LAYOUT.values()),
            "thumbnails/_staging/",
            "releases/uni-x/",
            "releases/uni-y/",
            "releases/uni-xx/",
            "releases/_prepared/",
        )
    },
}
"""What a listing may be asked for: each prefix in each bucket, so that a wider bucket or a wider prefix both show."""


def listings(*beginnings):
    return {("s3:ListBucket", name) for name in LISTED if name.startswith(beginnings)}


def places(*beginnings):
    return {name for name in PLACES if name.startswith(beginnings)}


READ, WRITE, DELETE = "s3:GetObject", "s3:PutObject", "s3:DeleteObject"
NEW = f"{WRITE} of a new one"
ALL = (READ, WRITE, NEW, DELETE)
VAULT = ("secretsmanager:GetSecretValue", "secretsmanager:CreateSecret")
UNDER_A_KEY = ("kms:GenerateDataKey", "kms:Decrypt")


def rights(actions, names):
    return {(action, name) for action in actions for name in names}


LOGS = {"identified/way_back_log", *(f"identified/{log}" for log in WRITTEN_ONCE)}
KEPT = {*LOGS, "identified/key_fingerprints"}
"""What nobody deletes: the logs, and which version of a key is in use, which grows with a rotation."""

IDENTIFIED = ("identified", "list identified", "key of identified")

EXPECTED = {
    "landing-st-mary": rights((READ,), {"landing/st-mary"}) | listings("list landing/st-mary: radiology/"),
    "landing-lakeside": rights((READ,), {"landing/lakeside"}) | listings("list landing/lakeside: radiology/"),
    "identified": rights((READ, NEW), places("identified"))
    | rights((WRITE,), places("identified") - LOGS)
    | rights((DELETE,), places("identified") - KEPT)
    | listings("list identified")
    | rights(VAULT, (*SECRETS, *KEYS_OF_ACCOUNTS))
    | rights(UNDER_A_KEY, {"key of identified"}),
    "deidentified": rights(ALL, places("deidentified"))
    | listings("list deidentified")
    | rights(UNDER_A_KEY, {"key of deidentified"}),
    "public": rights(ALL, places("public")) | listings("list public") | rights(UNDER_A_KEY, {"key of public"}),
    "curator": rights((READ,), {"deidentified/thumbnails"})
    | listings("list deidentified: thumbnails/")
    | {("kms:Decrypt", "key of deidentified")},
    "recipient-uni-x": rights((READ,), {"public/releases of uni-x"})
    | listings("list public: releases/uni-x/")
    | {("kms:Decrypt", "key of public")},
    "recipient-uni-y": rights((READ,), {"public/releases of uni-y"})
    | listings("list public: releases/uni-y/")
    | {("kms:Decrypt", "key of public")},
    "external": {(VAULT[0], "zone/external")},
    "runner": {("sts:AssumeRole", zone) for zone in ZONES} | {(VAULT[0], f"zone/{zone}") for zone in ZONES},
}
"""Identity → all that it may do; what is not here, it may not."""


def requests():
    for name, (bucket, key) in PLACES.items():
        for action in (*ALL, "s3:PutObjectAcl"):
            yield (
                name,
                Request(
                    action.removesuffix(" of a new one"), f"arn:aws:s3:::{bucket}/{key}", only_if_new=action == NEW
                ),
            )
    for name, (bucket, prefix) in LISTED.items():
        yield name, Request("s3:ListBucket", f"arn:aws:s3:::{bucket}", prefix)
        yield name, Request("s3:PutBucketPolicy", f"arn:aws:s3:::{bucket}", prefix)
    for name in (*SECRETS, *KEYS_OF_ACCOUNTS, *OTHERS_SECRETS):
        own = "" if name in OTHERS_SECRETS else "gradient/"
        arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{own}{name}-AbCdEf"
        for action in ("GetSecretValue", "CreateSecret", "PutSecretValue", "DeleteSecret", "TagResource"):
            yield name, Request(f"secretsmanager:{action}", arn)
    for zone, arn in {**KEYS, "others": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/of-others"}.items():
        for action in ("GenerateDataKey", "Decrypt", "PutKeyPolicy", "ScheduleKeyDeletion"):
            yield f"key of {zone}", Request(f"kms:{action}", arn)
    for role in (*ZONES, "curator", "admin"):
        for action in ("AssumeRole", "TagSession"):
            yield role, Request(f"sts:{action}", f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-{role}")


def matrix(documents, buckets=None):
    return {
        identity: {(request.label, name) for name, request in requests() if aws_allows(identity, own, request, buckets)}
        for identity, own in documents.items()
    }


@pytest.mark.parametrize("identity", EXPECTED)
def test_each_identity_may_do_exactly_what_the_table_says(identity):
    assert matrix(aws_documents())[identity] == EXPECTED[identity]
    assert matrix(aws_documents(), aws_bucket_documents())[identity] == EXPECTED[identity]


def test_every_identity_is_in_the_table():
    assert set(aws_documents()) == set(EXPECTED)


@pytest.mark.parametrize(
    "identity", ["public", "deidentified", "curator", "external", "recipient-uni-x", "runner", "landing-st-mary"]
)
def test_nobody_but_the_identified_zones_identity_reaches_what_is_identified(identity):
    found = matrix(aws_documents(), aws_bucket_documents())
    reached = {name for action, name in found[identity] if action != "sts:AssumeRole"}
    assert not {name for name in reached if name.startswith(IDENTIFIED) or name in SECRETS}
    assert "identified, anything else" in {name for _, name in found["identified"]}


def edited():
    """Each statement of each policy, once widened in each way that an edit could."""
    for identity, document in aws_documents().items():
        for number, statement in enumerate(document["Statement"]):
            changes = {
                "any action": {"Action": "*"},
                "any resource": {"Resource": "*"},
                "no condition": {"Condition": {}},
            }
            if statement["Effect"] == "Deny":
                changes = {"no denial": {"Effect": "Allow"}}
            for what, change in changes.items():
                if what == "no condition" and "Condition" not in statement:
                    continue
                copied = copy.deepcopy(document)
                copied["Statement"][number] |= change
                yield pytest.param(identity, copied, id=f"{identity}: {statement['Sid']}: {what}")


@pytest.mark.parametrize(("identity", "document"), list(edited()))
def test_an_edit_that_widens_a_right_changes_the_table(identity, document):
    found = matrix({identity: document})[identity]
    assert found - EXPECTED[identity]


@pytest.mark.parametrize("zone", ZONES)
def test_a_bucket_lets_in_its_own_readers_alone_whatever_another_policy_says(zone):
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    let_in = {
        identity
        for identity in [*EXPECTED, "admin"]
        if any(
            aws_allows(identity, everything, request, aws_bucket_documents())
            for name, request in requests()
            if request.action in ALL and name.startswith((f"{zone}/", f"{zone},"))
        )
    }
    assert (
        let_in
        == {
            "identified": {"identified"},
            "deidentified": {"deidentified", "curator"},
            "public": {"public", "recipient-uni-x", "recipient-uni-y"},
        }[zone]
    )


def test_nothing_goes_over_the_wire_unencrypted():
    request = Request(READ, f"arn:aws:s3:::{PREFIX}-identified/release_requests/x", encrypted=False)
    assert not aws_allows("identified", aws_documents()["identified"], request, aws_bucket_documents())


# Google Cloud

PERMISSIONS = sorted(set().union(*GOOGLE_ROLES.values()))
IDENTITIES = (
    *ZONES,
    "curator",
    "external",
    "recipient-uni-x",
    "recipient-uni-y",
    "landing-st-mary",
    "runner",
    "worker",
)
OBJECTS = ("storage.objects.get", "storage.objects.list", "storage.objects.create", "storage.objects.delete")
VIEW = OBJECTS[:2]
EDIT = ("bigquery.tables.getData", "bigquery.tables.updateData", "bigquery.tables.create")
ROW_POLICIES = tuple(f"bigquery.rowAccessPolicies.{verb}" for verb in ("create", "update", "setIamPolicy", "list"))
JOBS = {("bigquery.jobs.create", "project")}


def google_places():
    for name, (bucket, key) in PLACES.items():
        yield name, Place("object", bucket.removeprefix(f"{PREFIX}-"), key)
    for zone in ZONES:
        yield f"staging/{zone}", Place("object", "staging", f"{zone}/staging/run/x.parquet")
    yield "staging/dataflow", Place("object", "staging", "dataflow/temp/x")
    yield "staging, anything else", Place("object", "staging", "whatever/x")
    for bucket in OWN_BUCKETS:
        yield f"bucket {bucket}", Place("bucket", bucket)
    for account in (*ZONES, "worker", "of-others"):
        yield f"account {account}", Place("account", account)
    yield "images of workers", Place("images", "")
    for spec in ALL_TABLES:
        yield spec.full_name, Place("table", spec.zone, spec.name)
    for name in SECRETS:
        yield name, Place("secret", f"gradient_-_{name.replace('/', '_-_')}")
    yield "a secret of others", Place("secret", "database-password")
    yield "project", Place("project", "")


def google_matrix(grants):
    return {
        identity: {
            (permission, name)
            for name, place in google_places()
            for permission in PERMISSIONS
            if google_allows(identity, grants, permission, place)
        }
        for identity in IDENTITIES
    }


BECOME = ("iam.serviceAccounts.getAccessToken",)
ACCOUNTS_OF_ZONES = {f"account {zone}" for zone in ZONES}
START_JOBS = (
    *(f"dataflow.jobs.{verb}" for verb in ("cancel", "create", "get", "list", "updateContents")),
    *("dataflow.messages.list", "dataflow.metrics.get", "resourcemanager.projects.get"),
    *("compute.machineTypes.get", "compute.projects.get", "compute.regions.list", "compute.zones.list"),
)


def tables(zone):
    return {spec.full_name for spec in ALL_TABLES if spec.zone == zone}


GOOGLE_EXPECTED = {
    "identified": rights(OBJECTS, (places("identified") - LOGS) | {"staging/identified"})
    | rights(OBJECTS[:3], LOGS)
    | rights(EDIT, tables("identified"))
    | rights(("secretmanager.versions.access", "secretmanager.versions.add"), SECRETS)
    | {("secretmanager.secrets.create", "project")}
    | JOBS,
    "deidentified": rights(OBJECTS, places("deidentified") | {"staging/deidentified"})
    | rights(EDIT, tables("deidentified"))
    | JOBS,
    "public": rights(OBJECTS, places("public") | {"staging/public"})
    | rights(EDIT, tables("public"))
    | rights(ROW_POLICIES, {"public.public_table"})
    | rights(EDIT[:1], {"deidentified.prod"})
    | JOBS,
    "curator": rights(VIEW, {"deidentified/thumbnails"}) | rights(EDIT[:1], tables("deidentified")) | JOBS,
    "external": rights(EDIT[:1], {"public.public_table"}) | JOBS,
    "recipient-uni-x": rights(VIEW, {"public/releases of uni-x"}),
    "recipient-uni-y": rights(VIEW, {"public/releases of uni-y"}),
    "landing-st-mary": rights(VIEW, {"landing/st-mary"}),
    "runner": rights(BECOME, ACCOUNTS_OF_ZONES)
    | rights(OBJECTS, {"staging/dataflow"})
    | {("iam.serviceAccounts.actAs", "account worker"), ("storage.buckets.get", "bucket staging")}
    | rights(START_JOBS, {"project"}),
    "worker": rights(BECOME, ACCOUNTS_OF_ZONES)
    | rights(OBJECTS, {"staging/dataflow"})
    | {("storage.buckets.get", "bucket staging"), ("dataflow.jobs.get", "project")}
    | {("artifactregistry.repositories.downloadArtifacts", "images of workers")}
    | rights(("dataflow.workItems.lease", "dataflow.shuffle.read", "dataflow.shuffle.write"), {"project"}),
}


@pytest.mark.parametrize("identity", GOOGLE_EXPECTED)
def test_each_account_may_do_exactly_what_the_table_says(identity):
    assert google_matrix(google_grants())[identity] == GOOGLE_EXPECTED[identity]


@pytest.mark.parametrize(
    "identity", ["public", "deidentified", "curator", "external", "recipient-uni-x", "landing-st-mary"]
)
def test_no_other_account_reaches_what_is_identified(identity):
    found = google_matrix(google_grants())
    sealed = {*tables("identified"), *SECRETS, "account identified"}
    reached = {name for _, name in found[identity]}
    assert (
        not {name for name in reached if name.startswith(IDENTIFIED) or name == "staging/identified"} | reached & sealed
    )
    assert sealed - {"account identified"} <= {name for _, name in found["identified"]}


def wider_grants():
    grants = google_grants()
    for number, grant in enumerate(grants):
        if "objects_of" in grant:
            changed = copy.deepcopy(grants)
            del changed[number]["objects_of"], changed[number]["prefix"]
            yield pytest.param(changed, id=f"{grant['identity']} of all objects: {grant['role']}")
        for field in ("prefix", "except", "table"):
            if field in grant and "objects_of" not in grant:
                changed = copy.deepcopy(grants)
                del changed[number][field]
                yield pytest.param(
                    changed,
                    id=f"{grant['identity']} of {grant.get('bucket', grant.get('dataset'))} without its {field}",
                )
        if "secrets" in grant:
            changed = copy.deepcopy(grants)
            changed[number]["secrets"] = ""
            yield pytest.param(changed, id=f"{grant['identity']} of all secrets: {grant['role']}")
        if grant["role"].endswith("Viewer") and "secrets" not in grant:
            changed = copy.deepcopy(grants)
            changed[number]["role"] = "roles/storage.objectUser" if "bucket" in grant else "roles/bigquery.dataEditor"
            yield pytest.param(changed, id=f"{grant['identity']} writes {grant.get('bucket', grant.get('dataset'))}")
    for identity in ("public", "deidentified", "curator", "external"):
        for added in (
            {"bucket": "identified", "role": "roles/storage.objectViewer"},
            {"dataset": "identified", "role": "roles/bigquery.dataViewer"},
            {"account": "identified", "role": "roles/iam.serviceAccountTokenCreator"},
        ):
            yield pytest.param([*grants, {"identity": identity, **added}], id=f"{identity} reads {added}")


@pytest.mark.parametrize("grants", list(wider_grants()))
def test_a_grant_that_widens_a_right_changes_the_table(grants):
    assert google_matrix(grants) != GOOGLE_EXPECTED


# What the code opens is what the policies speak of


STAGING = {"GRADIENT_STAGING_URI", "GRADIENT_DATAFLOW_STAGING_URI"}
"""Folders of the staging bucket, whose rights `gcp/grants.json` gives by zone; the second lies in the first by default."""


def test_every_bucket_setting_has_its_place_in_the_zone_that_the_code_opens_it_in():
    named = {setting.name for setting in SETTINGS if setting.name.endswith("_URI")} - STAGING
    assert named == set(LAYOUT)
    for zone in ZONES:
        settings = Settings.from_environment({"GRADIENT_ZONES": zone, "GRADIENT_HOME": "/home"})
        opened = resources_for(settings)
        in_zone = {
            bucket.address.folder.relative_to("/home").as_posix()
            for name in dir(type(opened))
            if isinstance(bucket := _opened(opened, name), Bucket)
        }
        assert in_zone == {f"{zone}/{place['prefix']}" for place in LAYOUT.values() if place["zone"] == zone}


def test_every_bucket_of_a_setting_is_made_in_its_zone():
    made = json.loads((DEPLOY / "layout.json").read_text())["buckets"]
    assert {place["bucket"]: place["zone"] for place in LAYOUT.values()} == made
    assert set(made) == set(json.loads((DEPLOY / "aws/readers.json").read_text()))
    assert {*made, "staging"} == set(json.loads((DEPLOY / "gcp/grants.json").read_text())["buckets"])


def test_what_may_be_written_once_is_what_the_code_calls_so():
    prefixes = {STATES, REVOKED_PREFIX, QUARANTINE, REVIEWS, WITHDRAWALS}
    assert prefixes == set(WRITTEN_ONCE)
    (grant,) = [grant for grant in google_grants() if "except" in grant and grant["identity"] == "identified"]
    once = {*(f"release_requests/{one}/" for one in WRITTEN_ONCE), "way_back_log/"}
    assert set(grant["except"]) == once


def _opened(resources, name):
    if name.startswith("__") or name in ("warehouse", "text_finder", "second_finder", "verifying_reader", "beam"):
        return None
    try:
        return getattr(resources, name)
    except Exception:
        return None


def test_every_zone_of_a_table_is_a_dataset_with_grants():
    assert {spec.zone for spec in ALL_TABLES} == set(json.loads((DEPLOY / "gcp/grants.json").read_text())["datasets"])


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_terraform_holds_no_right_of_its_own(cloud):
    text = (DEPLOY / cloud / "main.tf").read_text()
    assert not re.search(
        r"aws_iam_policy_document|jsonencode|\bEffect\b|\"s3:|policy_arn|allUsers|allAuthenticatedUsers", text
    )
    assert not re.search(r"\"roles/[\w.]+\"", text)


def test_terraform_puts_every_policy_in_place():
    text = (DEPLOY / "aws/main.tf").read_text()
    named = {f"{zone}.json" for zone in ZONES} | set(re.findall(r"policies/([\w-]+\.json)", text))
    assert named == {path.name for path in (DEPLOY / "aws/policies").iterdir()}
    assert "policies/${each.key}.json" in text
    assert set(json.loads((DEPLOY / "aws/readers.json").read_text())) == {*ZONES, "logs"}


def test_terraform_puts_every_kind_of_grant_in_place_with_its_limit():
    text = (DEPLOY / "gcp/main.tf").read_text()
    for kind in ("bucket", "dataset", "table", "project", "secrets", "account", "images", "objects_of"):
        assert f"can(grant.{kind})" in text
    assert "!can(grant.table)" in text  # a grant of one table is none of its dataset
    assert "/objects/${grant.prefix}')" in text
    assert "!resource.name.startsWith('projects/_/buckets/${grant.in}/objects/${one}')" in text
    assert "expression = condition.value" in text
    assert "/secrets/${each.value.secrets}')" in text


def test_terraform_bounds_the_storage_of_a_role_of_the_whole_project():
    text = (DEPLOY / "gcp/main.tf").read_text()
    (bound,) = re.findall(r"resource\.service != .*?(?=\" if can\(grant\.objects_of\))", text)
    bucket = "projects/_/buckets/${var.bucket_prefix}-${grant.objects_of}"
    assert bound.split(" || ") == [
        "resource.service != 'storage.googleapis.com'",
        f"resource.name == '{bucket}'",
        f"resource.name.startsWith('{bucket}/objects/${{grant.prefix}}')",
    ]
    jobs = resource(text, "google_project_iam_member")
    assert "for_each = can(each.value.objects_of) ? [local.bounds[each.key]] : []" in jobs
    wide = {role for role, held in GOOGLE_ROLES.items() if any(one.startswith("storage.") for one in held)}
    assert not [one for one in google_grants() if "project" in one and one["role"] in wide and "objects_of" not in one]


def test_a_condition_on_google_has_no_more_operators_than_it_takes():
    for grant in google_grants():
        excepted = len(grant.get("except", ()))
        terms, operators = ((1, 1) if "prefix" in grant else (0, 0)), 0
        each = (
            2 if "prefix" in grant else 1
        )  # `!` before the object's name, with a prefix before that of the listing too
        operators = terms[1] + excepted * each + max(terms[0] + excepted * each - 1, 0)
        assert operators <= 12, grant


def resource(text, kind):
    """The block of the one resource of this kind."""
    return re.search(rf'^resource "{kind}" .*?^}}$', text, re.DOTALL | re.MULTILINE)[0]


def test_logs_keep_versions_and_nothing_else_does():
    amazon = (DEPLOY / "aws/main.tf").read_text()
    for kind in ("aws_s3_bucket_versioning", "aws_s3_bucket_object_lock_configuration"):
        assert 'bucket = aws_s3_bucket.zone["logs"].id' in " ".join(resource(amazon, kind).split())
    assert 'object_lock_enabled = each.key == "logs"' in amazon
    google = resource((DEPLOY / "gcp/main.tf").read_text(), "google_storage_bucket")
    assert 'enabled = each.key == "logs"' in google
    assert 'retention_duration_seconds = each.key == "logs" ? 90 * 86400 : 0' in google


def test_tables_can_be_read_as_they_were_for_two_days_and_no_longer():
    dataset = resource((DEPLOY / "gcp/main.tf").read_text(), "google_bigquery_dataset")
    assert f'max_time_travel_hours = "{TIME_TRAVEL_HOURS}"' in dataset


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
@pytest.mark.parametrize(
    ("prefix", "taken"),
    [
        ("", True),
        ("radiology/", True),
        ("a/b 2/", True),
        ("st-mary", False),
        ("/", False),
        ("*/", False),
        ("x'/", False),
    ],
)
def test_a_landing_prefix_ends_in_a_slash_and_holds_nothing_that_widens_it(cloud, prefix, taken):
    (pattern,) = re.findall(r'regex\("([^"]*)", place\.prefix', (DEPLOY / cloud / "main.tf").read_text())
    assert bool(re.match(pattern, prefix)) is taken
