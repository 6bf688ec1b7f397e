"""MATLAB's files up to version 7.2, as SciPy reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.inputs import check_plain


def read_variables(file: Path, names: list[str]) -> list[np.ndarray]:
    """Returns the variables ``names`` of a file.

    Raises:
        ValueError: when it is no such file, is damaged, or lacks one of them.
    """
    from scipy.io import loadmat  # its import sets an environment variable

    check_plain(file)
    try:
        content = loadmat(file)
    except Exception as error:  # a damaged file makes the parser fail anywhere
        raise ValueError(f"not a MATLAB file, truncated or damaged ({error})") from None
    if missing := [name for name in names if name not in content]:
        raise ValueError(f"expected the variables {', '.join(names)}, {', '.join(missing)} not there")
    return [content[name] for name in names]
