"""Put this folder on PYTHONPATH, and every process of the run has a second for a hospital's bucket, instead of minutes."""

from resources import Resources

PATIENCE_S = 1.0

_hospital_bucket = Resources.hospital_bucket


def hurried(self, *which):
    return _hospital_bucket(self, *which).within(PATIENCE_S)


Resources.hospital_bucket = hurried
