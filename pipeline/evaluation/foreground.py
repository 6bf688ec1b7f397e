"""How well what a network takes for the person covers the person."""

from __future__ import annotations

import numpy as np

HALF = 0.5


def measure_overlap(shares: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """Returns the mean intersection over union with the person, of what is taken for it and of the whole image.

    ``iou`` is of the pixels with a share of more than half; ``iou_of_everything`` is what calling every pixel the
    person would have had. Images without a person are left out; nothing where all are.

    Args:
        shares: ``[N, P]``, of each pixel in [0, 1].
        masks: ``[N, P]``, uint8: 255 where the person is.
    """
    person = masks > 255 * HALF
    with_person = person.any(axis=1)
    if not with_person.any():
        return {}
    person, taken = person[with_person], shares[with_person] > HALF
    both, either = (person & taken).sum(axis=1), (person | taken).sum(axis=1)
    return {"iou": float(np.mean(both / either)), "iou_of_everything": float(np.mean(person))}
