"""EasyOCR's reader without networks: finds what is bright, reads one name in it, and counts how often it was made.

Takes the arguments of the real `Reader` (1.7.2) as far as they are used, and refuses those that would download.
"""

import os

import numpy as np

TEXT = "MEIER ANNA"
BRIGHT = 200
made: list[dict] = []
rotations: list[list[int] | None] = []


class Reader:
    """Boxes as EasyOCR gives them: left, right, top, bottom in pixels of the picture, and a list of tilted ones."""

    def __init__(
        self,
        lang_list,
        gpu=True,
        model_storage_directory=None,
        user_network_directory=None,
        download_enabled=True,
        verbose=True,
    ):
        if download_enabled:
            raise OSError("this would download")
        if not os.path.isdir(model_storage_directory) or not os.path.isdir(user_network_directory):
            raise OSError("this would make a folder")
        made.append({"languages": lang_list, "gpu": gpu, "verbose": verbose, "models": model_storage_directory})

    def detect(self, img, min_size=20, canvas_size=2560, mag_ratio=1.0, reformat=True):
        assert img.ndim == 3
        assert round(mag_ratio * max(img.shape[:2])) == canvas_size
        rows, columns = np.nonzero(img[:, :, 0] > BRIGHT)
        if not len(rows) or max(np.ptp(rows), np.ptp(columns)) <= min_size:
            return [[]], [[]]
        return [[[columns.min(), columns.max() + 1, rows.min(), rows.max() + 1]]], [[]]

    def recognize(self, img_cv_grey, horizontal_list, free_list, rotation_info=None, reformat=True, workers=0):
        assert img_cv_grey.ndim == 2
        rotations.append(rotation_info)
        return [([], TEXT, np.float64(0.9)) for _ in (*horizontal_list, *free_list)]
