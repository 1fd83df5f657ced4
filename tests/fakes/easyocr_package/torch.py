"""As much of torch as is called before EasyOCR's reader is made."""


def set_num_threads(count):
    assert count == 1
