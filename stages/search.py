"""Shows the images of a folder that are nearest to one.

reads    a folder of artifacts/train, a folder of images, an image
writes   ranked_list.png, or --draw
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what to look for, where, and by which network."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder of artifacts/train")
    parser.add_argument("--gallery", type=Path, required=True, help="a folder with images to look through")
    parser.add_argument("--query", type=Path, required=True, help="the image to look for")
    parser.add_argument("--count", type=int, default=10, help="how many to show (default: 10)")
    parser.add_argument("--infrared", choices=("none", "query", "gallery", "both"), default="none")
    parser.add_argument("--draw", type=Path, default=Path("ranked_list.png"), help="default: ranked_list.png")


def run(given: argparse.Namespace) -> None:
    """Searches as the command line says."""
    from pipeline.inputs import printable
    from pipeline.search import draw, search

    matches = search(given.checkpoint, given.gallery, given.query, count=given.count, infrared=given.infrared)
    draw(given.query, matches, given.draw)
    print("place  distance  image")
    for place, match in enumerate(matches, start=1):
        print(f"{place:5}  {match.distance:8.4f}  {printable(match.file)}")
    print(f"drawn: {given.draw}")
