"""What the files of `deploy/` allow, worked out without a cloud.

Belongs here: the rules of evaluation, for the few constructs that the files use; any other is an error, never a guess.
Amazon: an explicit Deny of any policy wins, else an Allow of the identity's own policy is needed ("Policy evaluation logic",
IAM user guide).  Google: a right is held when some grant gives it (there are no denials in the files).
"""

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

DEPLOY = Path(__file__).parents[3] / "deploy"
ACCOUNT, REGION, PREFIX = "123456789012", "eu-central-1", "gradient"


def _listed(value):
    return value if isinstance(value, list) else [value]


KEYS = {zone: f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{zone}" for zone in ("identified", "deidentified", "public")}
"""Each zone's own key, as `zone_kms_key_arns` names them."""


def aws_documents() -> dict[str, dict]:
    """All policies of an identity as Terraform fills them in, by the identity; recipients and hospitals are two each."""
    given = {"account": ACCOUNT, "region": REGION, "bucket_prefix": PREFIX}
    documents = {
        name: _filled(f"{name}.json", given)
        for name in ("identified", "deidentified", "public", "curator", "external", "runner")
    }
    for recipient in ("uni-x", "uni-y"):
        documents[f"recipient-{recipient}"] = _filled("recipient.json", {**given, "recipient": recipient})
    for hospital in ("st-mary", "lakeside"):
        landing = {"landing_bucket": f"{hospital}-images", "landing_prefix": "radiology/"}
        documents[f"landing-{hospital}"] = _filled("landing.json", {**given, **landing})
    readers = {"curator": "deidentified", "recipient-uni-x": "public", "recipient-uni-y": "public"}
    for identity, zone in ({zone: zone for zone in KEYS} | readers).items():
        policy = "key.json" if identity in KEYS else "key_of_readers.json"
        documents[identity]["Statement"] += _filled(policy, {"key": KEYS[zone]})["Statement"]
    return documents


def aws_bucket_documents() -> dict[str, dict]:
    """The policies of the buckets themselves, by bucket."""
    readers = json.loads((DEPLOY / "aws/readers.json").read_text())
    return {
        f"{PREFIX}-{bucket}": _filled(
            "bucket.json",
            {
                "bucket": f"{PREFIX}-{bucket}",
                "jsonencode(principals)": json.dumps([_role(reader) for reader in roles]),
            },
        )
        for bucket, roles in readers.items()
    }


def _filled(name: str, given: dict[str, str]) -> dict:
    text = (DEPLOY / "aws/policies" / name).read_text()
    for variable, value in given.items():
        text = text.replace(f"${{{variable}}}", value)
    if left := re.findall(r"\$\{.*?\}", text):
        raise AssertionError(f"{name} has variables that nobody fills: {left}")
    return json.loads(text)


def _role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-{name}"


@dataclass(frozen=True)
class Request:
    """One call: an action on a resource, with the key of a listing's prefix where it is one."""

    action: str
    resource: str
    prefix: str | None = None
    encrypted: bool = True
    only_if_new: bool = False
    """Asked with `If-None-Match: *`: it can't write over what is there."""

    def context(self, identity: str) -> dict[str, str]:
        found = {"aws:PrincipalArn": _role(identity), "aws:SecureTransport": str(self.encrypted).lower()}
        found |= {} if self.prefix is None else {"s3:prefix": self.prefix}
        return found | ({"s3:if-none-match": "*"} if self.only_if_new else {})

    @property
    def label(self) -> str:
        """The action as the table of rights names it."""
        return f"{self.action} of a new one" if self.only_if_new else self.action


def secret_read(name: str) -> Request:
    """To read a secret of the platform's."""
    return Request(
        "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:gradient/{name}-AbCdEf"
    )


def aws_allows(identity: str, own: dict, request: Request, buckets: dict[str, dict] | None = None) -> bool:
    """Whether the identity may do it, by its own policy and by those of the buckets."""
    others = [statement for document in (buckets or {}).values() for statement in document["Statement"]]
    applying = [
        (statement["Effect"], statement in own["Statement"])
        for statement in [*own["Statement"], *others]
        if _applies(statement, identity, request)
    ]
    return ("Deny", True) not in applying and ("Deny", False) not in applying and ("Allow", True) in applying


def _applies(statement: dict, identity: str, request: Request) -> bool:
    if unknown := set(statement) - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}:
        raise AssertionError(f"this evaluator does not know {unknown}")
    if statement.get("Principal", "*") != "*":
        raise AssertionError("this evaluator knows the principal * only")
    return (
        any(fnmatchcase(request.action.lower(), action.lower()) for action in _listed(statement["Action"]))
        and any(_matches(pattern, request.resource) for pattern in _listed(statement["Resource"]))
        and all(
            _holds(operator, key, values, request.context(identity))
            for operator, wanted in statement.get("Condition", {}).items()
            for key, values in wanted.items()
        )
    )


def _holds(operator: str, key: str, values: object, context: dict[str, str]) -> bool:
    found = context.get(key)
    matched = found is not None and any(_matches(value, found) for value in _listed(values))
    match operator:
        case "StringLike" | "Bool":
            return matched
        case "ArnNotLike":
            return not matched
        case "Null":
            return {"true": found is None, "false": found is not None}[str(values)]
    raise AssertionError(f"this evaluator does not know {operator}")


def _matches(pattern: str, text: str) -> bool:
    # Amazon's * and ? go over slashes and colons; [ has no meaning.
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))).replace(r"\?", "."), text) is not None


GOOGLE_ROLES = {
    "roles/storage.objectViewer": {"storage.objects.get", "storage.objects.list"},
    "roles/storage.objectUser": {
        "storage.objects.get",
        "storage.objects.list",
        "storage.objects.create",
        "storage.objects.delete",
    },
    "roles/storage.objectCreator": {"storage.objects.create"},
    "roles/bigquery.dataViewer": {"bigquery.tables.getData"},
    "roles/bigquery.dataEditor": {"bigquery.tables.getData", "bigquery.tables.updateData", "bigquery.tables.create"},
    "roles/bigquery.jobUser": {"bigquery.jobs.create"},
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/secretmanager.secretVersionAdder": {"secretmanager.versions.add"},
    "roles/iam.serviceAccountTokenCreator": {"iam.serviceAccounts.getAccessToken"},
    "roles/iam.serviceAccountUser": {"iam.serviceAccounts.actAs"},
    "roles/artifactregistry.reader": {"artifactregistry.repositories.downloadArtifacts"},
    "roles/dataflow.worker": {
        "dataflow.jobs.get",
        "dataflow.workItems.lease",
        "dataflow.shuffle.read",
        "dataflow.shuffle.write",
        "storage.buckets.get",
        "storage.objects.create",
        "storage.objects.get",
    },
    **{
        f"custom:{name}": set(permissions)
        for name, permissions in json.loads((DEPLOY / "gcp/grants.json").read_text())["roles"].items()
    },
}
"""What is asked for of what each predefined role holds; from "IAM roles and permissions index", Google Cloud.  To write over
an object takes the right to delete it."""


ASKED_OF = {"storage.objects": "object", "storage.buckets": "bucket"}
"""Of what kind of place a right is, where more than one kind could be meant."""

OWN_BUCKETS = json.loads((DEPLOY / "gcp/grants.json").read_text())["buckets"]
"""Those of the platform's project; hospitals have theirs in projects of their own."""


def google_grants() -> list[dict]:
    """The grants of `gcp/grants.json`."""
    grants: list[dict] = json.loads((DEPLOY / "gcp/grants.json").read_text())["grants"]
    return grants


@dataclass(frozen=True)
class Place:
    """Something on Google Cloud: a bucket, an object in it, a table, a secret, an account, the workers' images, the project."""

    kind: str
    name: str
    below: str = ""


def google_allows(identity: str, grants: list[dict], permission: str, place: Place) -> bool:
    """Whether some grant gives the right.  `recipient-x` holds the grants of `recipient`, each below its own prefix."""
    kind, _, own = identity.partition("-")
    if place.kind != ASKED_OF.get(permission.rpartition(".")[0], place.kind):
        return False
    return any(
        grant["identity"] == kind
        and permission in GOOGLE_ROLES[grant["role"]]
        and (_covers_all(grant, permission, place) if "project" in grant else _covers(grant, place, own))
        for grant in grants
    )


def _covers_all(grant: dict, permission: str, place: Place) -> bool:
    """A grant of the project holds for all that is in it, but for what its bound leaves out of storage."""
    if unknown := set(grant) - {"identity", "role", "project", "objects_of", "prefix"}:
        raise AssertionError(f"this evaluator does not know {unknown}")
    if ("objects_of" in grant) != ("prefix" in grant):
        raise AssertionError("a bound is a bucket and a prefix in it")
    if not permission.startswith("storage."):
        return place.kind == "project"
    here = place.name in OWN_BUCKETS and place.name == grant.get("objects_of", place.name)
    return here and (place.kind == "bucket" or place.below.startswith(grant.get("prefix", "")))


def _covers(grant: dict, place: Place, own: str) -> bool:
    if unknown := set(grant) - {
        "identity",
        "role",
        "bucket",
        "prefix",
        "except",
        "dataset",
        "table",
        "secrets",
        "account",
        "images",
    }:
        raise AssertionError(f"this evaluator does not know {unknown}")
    match place.kind:
        case "bucket":
            return grant.get("bucket") == place.name and "prefix" not in grant
        case "object":
            landing = f"{own}-images" if grant.get("bucket") == "landing" else grant.get("bucket")
            prefix = grant.get("prefix", "").replace("${recipient}", own).replace("${landing_prefix}", "radiology/")
            excepted = tuple(grant.get("except", ()))
            return (
                landing == place.name
                and place.below.startswith(prefix)
                and not place.below.startswith(excepted or ("\0",))
            )
        case "table":
            return grant.get("dataset") == place.name and grant.get("table", place.below) == place.below
        case "secret":
            return "secrets" in grant and place.name.startswith(grant["secrets"])
        case "account":
            return grant.get("account") == place.name
        case "images":
            return "images" in grant
        case "project":
            return False
    raise AssertionError(f"there is no {place.kind}")
