"""A patient's name for each failure: whoever finds one outside the identified zone knows which failure told it."""

FAILURES = (
    "header",  # an object that is no DICOM file
    "csvrow",  # a report row that breaks off
    "objectname",  # an object whose key is a name, with bytes that are no UTF-8
    "detector",  # the text finder raises
    "killed",  # a worker writes to stdout and stderr and dies of a bad address
    "late",  # an object that never ends
    "rule",  # the header engine raises
    "textrule",  # the report engine raises
    "store",  # the operating system does not give an object
    "disk",  # no space when a table is put in place
    "staging",  # no space when what workers made is put into a shard
    "sql",  # a value that can't be converted
    "beam",  # an error between the steps
    "parent",  # an asset raises, after a library has warned and logged
    "check",  # a check raises
)

SMALL_ROWS = 64
"""Height of the picture over which the text finder raises."""


def name_of(failure: str) -> str:
    """The name planted for a failure; no other text holds it."""
    return f"Qzx{failure}wick^Unathea"
