"""Buckets and Amazon's services on this machine: S3 with identities, GCS, SQS, Secrets Manager.

Belongs here: starting them, and what only their own administrator can do.  Everything else goes through `resources`, as in
production.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any, ClassVar

from gradient_assets.dev.part import Part
from gradient_assets.dev.recipes import GoProgram, PartUnavailable, Recipe, Say
from gradient_assets.dev.server import Server, ServerFailed, answers, free_port

GATEWAY = GoProgram("github.com/versity/versitygw/cmd/versitygw", "v1.7.0")
FAKE_GCS = GoProgram("github.com/fsouza/fake-gcs-server", "v1.56.1")
REGION = "us-east-1"
START_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """One identity of the S3 server."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class S3(Part):
    """Versity's gateway over a folder, with users and owners of buckets: who has no right is told AccessDenied."""

    name: ClassVar[str] = "s3"
    recipes: ClassVar[Sequence[Recipe]] = (GATEWAY,)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root = Account("root", secrets.token_hex(16))
        self.endpoint = ""

    def _start(self) -> None:
        port = free_port()
        for name in ("buckets", "identities", "versions"):
            (self.folder / name).mkdir(exist_ok=True)
        self.endpoint = f"http://127.0.0.1:{port}"
        where = ["--iam-dir", str(self.folder / "identities"), "--port", f"127.0.0.1:{port}", "--region", REGION]
        # Without the cache a new identity is known at once, and a withdrawn one no longer.
        where += ["--iam-cache-disable", "--health", "/health"]
        backend = ["posix", "--versioning-dir", str(self.folder / "versions"), str(self.folder / "buckets")]
        self.serve(
            Server(
                [self._program, *where, *backend],
                log=self.log("s3"),
                healthy=lambda: answers(f"{self.endpoint}/health"),
                deadline_s=START_DEADLINE_S,
                environment=self._as_root,
            )
        )

    @property
    def _program(self) -> Path:
        return GATEWAY.place() / GATEWAY.name

    @property
    def _as_root(self) -> dict[str, str]:
        # In the environment, not among the arguments, which every user of the machine can read.
        return {"ROOT_ACCESS_KEY": self.root.access_key_id, "ROOT_SECRET_KEY": self.root.secret_access_key}

    def account(self, name: str) -> Account:
        """Make an identity without any right."""
        made = Account(name, secrets.token_hex(16))
        self._admin("create-user", "--access", made.access_key_id, "--secret", made.secret_access_key, "--role", "user")
        return made

    def bucket(self, name: str, owner: Account) -> None:
        """Make a bucket that only its owner and the root may use."""
        self._admin("create-bucket", "--bucket", name, "--owner", owner.access_key_id)

    def client(self, account: Account) -> Any:
        """A boto3 client, for what `resources` does not do: making buckets, rights, multipart uploads."""
        import boto3  # type: ignore[import-untyped]  # ships no types

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=account.access_key_id,
            aws_secret_access_key=account.secret_access_key,
        )

    def secret(self, account: Account) -> dict[str, str]:
        """What a hospital's secret `<secret_name>/bucket` holds."""
        return {
            "access_key_id": account.access_key_id,
            "secret_access_key": account.secret_access_key,
            "endpoint": self.endpoint,
            "region": REGION,
        }

    def exports(self) -> dict[str, str]:
        return {
            "GRADIENT_S3_ENDPOINT": self.endpoint,
            "GRADIENT_AWS_REGION": REGION,
            # Who may make buckets and rights; each hospital gets an account of its own.
            "AWS_ACCESS_KEY_ID": self.root.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.root.secret_access_key,
        }

    def _admin(self, *arguments: str) -> None:
        access = {"ADMIN_ACCESS_KEY": self.root.access_key_id, "ADMIN_SECRET_KEY": self.root.secret_access_key}
        where = ["admin", "--endpoint-url", self.endpoint, "--region", REGION]
        done = subprocess.run(  # noqa: S603  our own program
            [str(self._program), *where, *arguments],
            env={**os.environ, **access},
            capture_output=True,
            text=True,
            timeout=START_DEADLINE_S,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"versitygw admin {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")


class Gcs(Part):
    """fake-gcs-server: GCS without identities.

    It takes writes in JSON only, and obstore writes in XML: its buckets are to read and delete from.
    """

    name: ClassVar[str] = "gcs"
    recipes: ClassVar[Sequence[Recipe]] = (FAKE_GCS,)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.endpoint = ""
        self.buckets = self.folder / "buckets"
        """Its objects as files, `<bucket>/<key>`: a BigQuery emulator reads them there."""

    def _start(self) -> None:
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.buckets.mkdir(exist_ok=True)
        where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
        self.serve(
            Server(
                [FAKE_GCS.place() / FAKE_GCS.name, *where, "-filesystem-root", self.buckets],
                log=self.log("gcs"),
                healthy=lambda: answers(f"{self.endpoint}/_internal/healthcheck"),
                deadline_s=START_DEADLINE_S,
            )
        )

    def bucket(self, name: str) -> None:
        """Make a bucket."""
        self._post("storage/v1/b?project=stand", json.dumps({"name": name}).encode(), "application/json")

    def upload(self, bucket: str, key: str, content: bytes) -> None:
        """Put an object, as its owner would."""
        name = urllib.parse.quote(key, safe="")
        self._post(f"upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}", content, "application/octet-stream")

    def _post(self, path: str, body: bytes, kind: str) -> None:
        headers = {"Content-Type": kind}
        request = urllib.request.Request(f"{self.endpoint}/{path}", data=body, headers=headers)  # noqa: S310  our own
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  as above

    def exports(self) -> dict[str, str]:
        # The second is what Google's own client library reads.
        return {"GRADIENT_GCS_ENDPOINT": self.endpoint, "STORAGE_EMULATOR_HOST": self.endpoint}


class Amazon(Part):
    """moto's server: Secrets Manager, SQS, STS, KMS, and an S3 that asks nobody who they are.

    It comes from this interpreter's own packages (extra `dev`), whose lock pins it.
    """

    name: ClassVar[str] = "amazon"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.endpoint = ""

    @property
    def version(self) -> str:
        return f"moto {metadata.version('moto')}"

    def fetch(self, say: Say = lambda line: None) -> None:
        if util.find_spec("moto") is None or util.find_spec("flask") is None:
            raise PartUnavailable("moto[server] is absent: pip install 'gradient-assets[dev]'")

    def _start(self) -> None:
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.serve(
            Server(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                log=self.log("amazon"),
                healthy=lambda: answers(f"{self.endpoint}/moto-api/"),
                deadline_s=START_DEADLINE_S,
            )
        )

    def client(self, service: str) -> Any:
        """A boto3 client of `secretsmanager`, `sqs`, …"""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="stand",
            aws_secret_access_key="stand",  # noqa: S106  moto takes any
        )

    def exports(self) -> dict[str, str]:
        return {
            "GRADIENT_VAULT": "aws",
            "GRADIENT_SECRETS_ENDPOINT": self.endpoint,
            "AWS_ENDPOINT_URL_SQS": self.endpoint,
            "AWS_ACCESS_KEY_ID": "stand",
            "AWS_SECRET_ACCESS_KEY": "stand",
            "AWS_DEFAULT_REGION": REGION,
        }
