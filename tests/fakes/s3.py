"""moto's S3 in this process, for tests of what a store without locks does."""

import os
from contextlib import contextmanager

import pytest

BUCKET = "own-bucket"


@contextmanager
def empty_bucket(monkeypatch):
    """URI of an empty bucket and the server's address; the process's own credentials open it."""
    moto = pytest.importorskip("moto.server", reason="needs moto[server] (extra `dev`)")
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "own",
        "AWS_SECRET_ACCESS_KEY": "of-the-test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        s3 = boto3.client("s3", endpoint_url=endpoint)
        s3.create_bucket(Bucket=BUCKET)
        # All of moto's servers in a process have the same buckets.
        for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])
        yield f"s3://{BUCKET}", endpoint
    finally:
        server.stop()
