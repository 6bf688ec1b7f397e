"""The pages that say how to add something, as what they ask somebody to do: blocks, each written to its file in a copy.

The first line of a block says behind its language where it goes. A block for a FILE is all of it, a diff takes lines
out of it and puts others in, and YAML for a FILE and KEYS (divided by dots) is added to what stands below these keys.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = (
    ".dvc/config", ".dvcignore", "benchmarks", "docs", "dvc.yaml", "params.yaml", "pipeline", "pyproject.toml",
    "stages", "studies", "tests",
)  # fmt: skip
"""What the rules that judge an addition look at; compiled code comes along, so that it is not compiled again."""


@dataclass(frozen=True)
class Block:
    """A block of a page for ``file``; ``place`` are the keys in YAML below which it is added."""

    language: str
    file: str
    place: str
    text: str


def blocks(page: str) -> list[Block]:
    """Returns the blocks of a page that name a file, but for those about the declaration in params.yaml."""
    text = without_declaration((ROOT / "docs" / page).read_text())
    found = re.findall(r"^```(\w+) (\S+)(?: (\S+))?\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found]


def declaration(page: str) -> list[Block]:
    """Returns the blocks of a page about the declaration in params.yaml."""
    text = (ROOT / "docs" / page).read_text()
    parts = re.findall(r"<!-- declaration: begin -->(.*?)<!-- declaration: end -->", text, flags=re.DOTALL)
    found = re.findall(r"^```(\w+) (\S+)(?: (\S+))?\n(.*?)^```", "".join(parts), flags=re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found]


def without_declaration(text: str) -> str:
    """Returns a page without its parts about the declaration in params.yaml."""
    return re.sub(r"<!-- declaration: begin -->.*?<!-- declaration: end -->", "", text, flags=re.DOTALL)


def copy_project(folder: Path) -> Path:
    """Copies what the rules look at to ``folder``, and returns it."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    (folder / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    return folder


def follow(page: str, folder: Path) -> list[str]:
    """Does in ``folder`` what a page says, and returns the files that it touched."""
    for block in blocks(page):
        write(block, folder)
    return list(dict.fromkeys(block.file for block in blocks(page)))


def write(block: Block, folder: Path) -> None:
    """Writes a block to its file; a new folder of ``pipeline`` gets an empty ``__init__.py``.

    Raises:
        AssertionError: when the file is there and should not be, or what is to be changed is not there once.
    """
    file = folder / block.file
    if block.language == "diff":
        lines = block.text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        assert file.read_text().count(before) == 1, f"{block.file}: not there once: {before}"
        file.write_text(file.read_text().replace(before, after))
    elif block.language == "yaml":
        file.write_text(with_yaml(file.read_text(), block))
    else:
        assert not file.exists(), f"{block.file} is there already"
        if not file.parent.exists():
            file.parent.mkdir()
            if block.file.startswith("pipeline/"):
                (file.parent / "__init__.py").write_text("")
        file.write_text(block.text)


def with_yaml(text: str, block: Block) -> str:
    """Returns a YAML file with the text of ``block`` as the last of the keys below its place."""
    start, end = 0, len(text)
    for depth, key in enumerate(block.place.split(".")):
        indent = "  " * depth
        (found,) = re.finditer(rf"^{indent}{key}:.*\n", text[start:end], flags=re.MULTILINE)
        start += found.end()
        after = re.search(rf"^{indent}(?! |#|\n)", text[start:end], flags=re.MULTILINE)
        end = start + after.start() if after else end
    own = re.sub(r"(?:^ *#.*\n|^\n)+\Z", "", text[:end], flags=re.MULTILINE)  # without what is said of the next key
    return own + block.text + text[len(own) :]
