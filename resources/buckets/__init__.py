"""Buckets: hospitals' and our own, on S3, GCS or in a folder, behind one face.

Reading order: `object_store` (the face), `bucket_address` (which bucket, opened how), `entity_tags` (a read is of what was
listed), `local_folder`; for remote ones `remote_client`, `s3_requests` with `request_signing`, `s3_listing`, `store_errors`,
`breaker`; `range_reader` (an object as a file) and `staging` (prefixes of unfinished work).  What objects
mean is not known here.
"""
