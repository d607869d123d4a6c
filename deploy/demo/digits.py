"""The demo's data: the UCI digits that scikit-learn ships, 1,797 images of 8 by 8 pixels."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20260101
HELD_OUT = 0.3


def images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images, held-out images, and the labels of each.

    Images are FP32 [n, 8, 8] with ink from 0 to 16, labels are integers from 0 to 9; the split is
    always the same.
    """
    digits = load_digits()
    pixels = digits.images.astype(np.float32)
    split = train_test_split(
        pixels, digits.target, test_size=HELD_OUT, random_state=SEED, stratify=digits.target
    )
    return split[0], split[1], split[2], split[3]
