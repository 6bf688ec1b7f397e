"""What can be wrong with a data set: a rule that was broken, by which file, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A kind of finding: ``what`` is found, in the words of a heading, and ``advice``: what to do.

    An error keeps the data set from being prepared, a warning does not.
    """

    is_error: bool
    what: str
    advice: str


@dataclass(frozen=True)
class Finding:
    """One thing found: ``rule`` is a key of ``RULES``, ``text`` names the file or identity and says how it is."""

    rule: str
    text: str

    @property
    def is_error(self) -> bool:
        """Whether the data set can't be used as it is."""
        return RULES[self.rule].is_error


RESTORE = "restore it from the archive, or ask for the archive again"

RULES = {
    "reader": Rule(
        True, "files, lists and names that do not fit", "each line says; what the makers gave in another way, restore"
    ),
    "missing": Rule(True, "images that are listed and not there", RESTORE),
    "name": Rule(True, "files whose names are not in UTF-8", "rename them, as `convmv` does for whole folders"),
    "empty": Rule(True, "files without content", RESTORE),
    "unreadable": Rule(True, "files that are no readable image", RESTORE),
    "mislabelled": Rule(
        False,
        "images whose name says another format than their content",
        "nothing: they were read as what they are; other programs may want their right name",
    ),
    "paged": Rule(False, "files with several pictures, of which the first is taken", "store one picture in a file"),
    "deep": Rule(
        True,
        "images with more than 8 bits per channel",
        "convert them to 8 bits yourself: which range to keep, you know",
    ),
    "nothing": Rule(True, "no images", "give the folder that holds them"),
    "repeated": Rule(True, "images that are listed more than once", "list an image once"),
    "person": Rule(True, "identities that can't be", "identities count from 1; 0 is a distractor of the gallery"),
    "camera": Rule(True, "cameras out of range", "cameras count from 1: correct the name or the list"),
    "column": Rule(True, "modalities and roles that are none", "correct the list"),
    "shared": Rule(True, "identities that are both trained on and tested", "an identity belongs on one side: move it"),
    "leaked": Rule(True, "images that are both in train and in test", "take the image out of train, or out of test"),
    "leaked_by_makers": Rule(
        False, "images that the makers have put both in train and in test", "nothing: it is what everybody is scored on"
    ),
    "two_persons": Rule(
        False, "images that stand for two identities", "one of the two is wrong, if the makers are not"
    ),
    "copies": Rule(False, "images that are there more than once", "leave one of them, if the data set is your own"),
    "turned": Rule(
        False,
        "photos that are to be shown turned, and are taken as they lie",
        "turn their pixels, as `exiftran -a` or `mogrify -auto-orient` do",
    ),
    "upright": Rule(
        False, "photos that were turned, as their EXIF orientation asks", "nothing, if they are seen upright elsewhere"
    ),
    "small": Rule(False, "images that are small", "they are enlarged many times over: look at them"),
    "counts": Rule(
        True,
        "numbers that are not the published ones",
        "complete the data set, or set published_counts: false to use a part of it under a name of its own",
    ),
    "unverified_counts": Rule(
        False, "numbers that are not those of the literature", "compare them with what the makers have sent you"
    ),
    "unanswered": Rule(
        False, "queries that no gallery image can answer", "nothing: evaluation leaves them out, and says how many"
    ),
    "note": Rule(False, "worth knowing", "nothing"),
}
"""In the order of a report: what is wrong with files first, then with the table that they make."""
