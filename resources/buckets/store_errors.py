"""What a bucket can fail with, and how the errors of files, obstore and S3 become one of these.

Belongs here: the errors' classes and their making.  An object key may hold a patient's name: no message holds one, and
errors of the client libraries are never chained, since their text quotes it.  It is held back for the diagnostics
(`resources.errors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from resources.buckets.local_folder import FileReplaced, KeyOutsideFolder
from resources.errors import holding_back

_Answer = TypeVar("_Answer")

_OBSTORE_STATUS = re.compile(r"returned non-2xx status code: (\d{3})")
"""How obstore 0.12 tells the status of an answer for which it has no type: of every listing, and of 416."""


class StoreError(Exception):
    """A bucket did not do what it was asked to.  The message holds the operation and the kind of failure, never a key."""


class ObjectVanished(StoreError):  # noqa: N818  the outcome's name says what happened
    """The object is not there, or is not the one that was listed: replaced, or shorter."""


class ObjectExists(StoreError):  # noqa: N818  the outcome's name says what happened
    """There is an object of that key already; it stays as it is."""


class AccessDenied(StoreError):  # noqa: N818  the outcome's name says what happened
    """The credentials do not allow it, or there are none."""


class StoreUnavailable(StoreError):  # noqa: N818  the outcome's name says what happened
    """The bucket did not answer within the deadline, or answered with an error after all retries."""


class KeyRefused(StoreError):  # noqa: N818  the outcome's name says what happened
    """A key that the store can't address: an empty, `.` or `..` segment, or a control character where it has none."""


def guarded(operation: str, call: Callable[[], _Answer]) -> _Answer:
    """What the call gives.  Raises `StoreError` for whatever it raises."""
    from obstore import exceptions

    failure: StoreError
    try:
        return call()
    except StoreError:
        raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        failure = of_status(operation, 404, error)
    except (FileReplaced, exceptions.PreconditionError) as error:
        failure = of_status(operation, 412, error)
    except (FileExistsError, exceptions.AlreadyExistsError):
        failure = ObjectExists(f"{operation}: there is such an object already")
    except (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        failure = of_status(operation, 403, error)
    except (KeyOutsideFolder, ValueError, exceptions.InvalidPathError, UnicodeError) as error:
        failure = holding_back(KeyRefused(f"{operation}: a name that the store can't address"), error)
    except Exception as error:
        # A file name too long for the file system, a dead server, a full disk: only the type goes further.
        told = _OBSTORE_STATUS.search(str(error))
        if told is not None:
            failure = of_status(operation, int(told[1]), error)
        else:
            failure = holding_back(
                StoreUnavailable(f"{operation}: {type(error).__name__}{_error_number(error)}"), error
            )
    # Raised outside the handler: the original's text quotes the key, and a chained error is printed with it.
    raise failure


def of_status(operation: str, status: int, error: Exception) -> StoreError:
    """The failure that a status of HTTP stands for.  A listing that finds nothing has no bucket: that is no empty one."""
    failure: StoreError
    if status in (401, 403):
        failure = AccessDenied(f"{operation}: access denied")
    elif status == 404 and operation != "list":
        failure = ObjectVanished(f"{operation}: no such object")
    elif status == 404:
        failure = StoreUnavailable(f"{operation}: there is no such bucket")
    elif status == 412:
        failure = ObjectVanished(f"{operation}: the object was replaced since it was listed")
    elif status == 416:
        failure = ObjectVanished(f"{operation}: the object is shorter than it was listed")
    elif 300 <= status < 400:
        failure = StoreUnavailable(
            f"{operation}: the bucket is elsewhere (status {status}); check its region and endpoint"
        )
    else:
        failure = StoreUnavailable(f"{operation}: status {status}")
    return holding_back(failure, error)


def _error_number(error: Exception) -> str:
    return f" {error.errno}" if isinstance(error, OSError) and error.errno else ""
