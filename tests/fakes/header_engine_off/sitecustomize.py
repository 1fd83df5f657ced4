"""Put this folder on PYTHONPATH, and the header engine changes nothing, in any process of the run."""

from gradient_assets.deid.headers import HeaderEngine
from gradient_assets.deid.headers.contract import CleanedHeader

_clean = HeaderEngine.clean


def unchanged(self, dataset, identifiers) -> CleanedHeader:
    cleaned = _clean(self, dataset, identifiers)
    for element in dataset:
        cleaned.dataset[element.tag] = element
    return cleaned


HeaderEngine.clean = unchanged
