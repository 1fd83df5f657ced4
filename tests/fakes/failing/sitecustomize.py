"""Put this folder on PYTHONPATH, and every process of the run meets every failure, each error quoting a patient's name.

Objects and hospitals say themselves which failure is theirs: by the name of the object, the hospital's id, or the size of
the picture.
"""

import errno
import logging
import os
import signal
import sys
import time
import warnings

from planted_names import SMALL_ROWS, name_of

import gradient_assets.assets.deidentified as deidentified
import gradient_assets.checks.leaks as leaks
import resources.buckets.local_folder as local_folder
import resources.warehouses.parquet_files as parquet_files
from gradient_assets.deid.headers import HeaderEngine
from gradient_assets.deid.pixels import RapidTextFinder
from gradient_assets.deid.text import TextEngine
from gradient_assets.pipelines import pool
from gradient_assets.pipelines.thumbnails import MakeThumbnails
from resources.warehouses.warehouse import EmbeddedWarehouse

LATE_S = 3.0


def before(owner, name, fail):
    """Call `fail` with the arguments before the real function."""
    real = getattr(owner, name)

    def failing(*args, **kwargs):
        fail(*args, **kwargs)
        return real(*args, **kwargs)

    setattr(owner, name, failing)


def says(dataset, failure):
    return name_of(failure) in str(dataset.get("PatientName", ""))


def rule(self, dataset, *_, **__):
    if says(dataset, "rule"):
        raise KeyError(name_of("rule"))


def text_rule(self, text, *_, **__):
    if name_of("textrule").partition("^")[0] in text:
        raise ValueError(name_of("textrule"))


def detector(self, image, *_, **__):
    if image.shape[0] == SMALL_ROWS:
        raise RuntimeError(name_of("detector"))


def die(self, item):
    if "killed" in item["object_key"]:
        for descriptor in (1, 2):
            os.write(descriptor, name_of("killed").encode())
        os.kill(os.getpid(), signal.SIGSEGV)
    if "late" in item["object_key"]:
        time.sleep(600)


def refuse_to_read(self, key, *_, **__):
    if "denied" in key:
        raise OSError(errno.EIO, "Input/output error", f"{name_of('store')}.dcm")


def no_space(part, path):
    full_disk = "full-disk.parquet" in str(path) and "warehouse" in path.parts
    # Only the shard: a work list that can't be put would end the stage before any worker has begun.
    full_staging = "full-staging" in str(path) and "staging" in path.parts and path.suffix == ".parquet"
    for full, failure in ((full_disk, "disk"), (full_staging, "staging")):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device", name_of(failure))


def broken_parent(warehouse, hospital, *_, **__):
    if hospital == "broken-asset":
        warnings.warn(name_of("parent"), stacklevel=1)
        logging.getLogger("foreign").error(name_of("parent"))
        raise ValueError(name_of("parent"))


def broken_check(search, warehouse, spec, partition):
    if partition == "broken-check":
        raise ValueError(name_of("check"))


def broken_beam(self, items, *_, **__):
    if "broken-beam" in self._setup[2]:
        sys.stderr.flush()
        raise ValueError(name_of("beam"))


def late(worker, group, deadline_s):
    if any("late" in item["object_key"] for item in group.items):
        worker.deadline = time.monotonic() + LATE_S


_give = pool._Worker.give


def give(self, group, deadline_s):
    _give(self, group, deadline_s)
    late(self, group, deadline_s)


_from_query = EmbeddedWarehouse.replace_from_query


def from_query(self, spec, partition, sql, parameters=None):
    if partition == "broken-sql" and spec.name == "final_table":
        sql, parameters = f"SELECT CAST('{name_of('sql')}' AS INT64) AS image_rows", {}
    return _from_query(self, spec, partition, sql, parameters)


before(HeaderEngine, "clean", rule)
before(TextEngine, "clean", text_rule)
before(RapidTextFinder, "find", detector)
before(RapidTextFinder, "look", detector)
before(MakeThumbnails, "apply", die)
before(local_folder.LocalFolder, "read", refuse_to_read)
before(local_folder, "put_in_place", no_space)
before(parquet_files, "put_in_place", no_space)
before(deidentified, "gather", broken_parent)
before(leaks, "search_table", broken_check)
before(pool.WorkerPool, "run", broken_beam)
pool._Worker.give = give
EmbeddedWarehouse.replace_from_query = from_query
