"""Writes a trained network for use without this project.

reads    a folder of artifacts/train; --gallery: images to check by
writes   embedder.onnx, embedder.pt2 (torch.export) and embedder.json in --out (docs/export.md)
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what to export, and where to."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder of artifacts/train")
    parser.add_argument("--out", type=Path, required=True, help="where to write the files")
    parser.add_argument("--gallery", type=Path, help="a folder of images to check by (default: patterns of colour)")


def run(given: argparse.Namespace) -> None:
    """Exports as the command line says."""
    from pipeline.export import CARD, NEAREST, export

    checked = export(given.checkpoint, given.out, given.gallery)["checked"]
    for file, cosine in checked["lowest_cosine"].items():
        print(f"{given.out / file}: cosines >= {cosine:.7f}, same {NEAREST} nearest ({checked['images']} images)")
    print(f"what they take and give: {given.out / CARD}")
