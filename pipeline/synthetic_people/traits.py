"""What a generated person looks like, whichever camera sees them: traits, and siblings that differ in few of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt

from pipeline.synthetic_people.draws import Draws

Colour = tuple[float, float, float, float]
"""Red, green, blue as displayed and reflectance in near infrared, each in [0, 1]."""

LUMINANCE = (0.299, 0.587, 0.114)

# Displayed colours out of 255 and how common they are: mostly dark and grey, so that many people share them.
UPPER_PALETTE = {
    (34, 34, 38): 15, (64, 66, 72): 10, (124, 127, 131): 8, (186, 186, 184): 6, (222, 220, 214): 11,
    (38, 48, 80): 10, (66, 98, 146): 6, (128, 152, 180): 4, (194, 178, 150): 6, (106, 82, 64): 5,
    (92, 96, 66): 5, (60, 102, 80): 4, (110, 44, 54): 4, (164, 62, 58): 4, (172, 104, 70): 2,
    (192, 156, 82): 2, (206, 162, 166): 3, (146, 132, 164): 2, (62, 112, 120): 2,
}  # fmt: skip
LOWER_PALETTE = {
    (36, 36, 40): 16, (62, 64, 70): 9, (40, 48, 74): 9, (60, 80, 112): 10, (94, 118, 150): 8, (134, 156, 182): 4,
    (188, 172, 144): 6, (120, 122, 124): 6, (94, 96, 70): 4, (100, 80, 66): 4, (214, 210, 202): 3, (110, 56, 62): 2,
}  # fmt: skip
SHOE_PALETTE = {
    (36, 34, 36): 9, (222, 220, 216): 8, (112, 82, 60): 5, (124, 126, 130): 4, (52, 62, 96): 3, (160, 66, 60): 2,
    (186, 170, 142): 2,
}  # fmt: skip
BAG_PALETTE = {
    (40, 40, 44): 9, (96, 74, 56): 5, (54, 66, 92): 4, (150, 62, 56): 3, (188, 164, 124): 4, (92, 100, 80): 3,
    (206, 202, 194): 2, (110, 112, 118): 4, (70, 118, 122): 2,
}  # fmt: skip
HAIR_PALETTE = {
    (30, 26, 26): 12, (58, 42, 34): 10, (98, 70, 48): 6, (172, 132, 74): 5, (138, 74, 44): 2, (176, 174, 170): 4,
}  # fmt: skip
SKINS = ((222, 184, 160), (208, 166, 138), (188, 144, 114), (158, 112, 82), (120, 82, 62), (90, 62, 48))

UPPER_KINDS = {"tee": 8, "shirt": 5, "sweater": 5, "hoodie": 4, "jacket": 6, "coat": 4, "dress": 2}
LOWER_KINDS = {"trousers": 10, "slim": 6, "wide": 4, "shorts": 5, "skirt": 3, "long skirt": 2}
PATTERNS = {"plain": 7, "stripes": 5, "block": 4, "check": 3, "print": 4, "raglan": 3}
HAIR_STYLES = {
    "crop": 6,
    "short": 8,
    "bald": 1,
    "bob": 4,
    "long": 5,
    "ponytail": 4,
    "bun": 2,
    "cap": 3,
    "scarf": 2,
}
BAGS = {"none": 7, "backpack": 6, "crossbody": 4, "handbag": 3, "tote": 2}

LONG_HEM = 0.4  # heights above the ground: an upper garment that ends below hides shorts
HAIRLINE_STEP = 0.2  # least distance of hair and skin
VISIBLE_STEP = 0.28  # least distance of two displayed colours that a camera's light and noise do not hide


@dataclass(frozen=True)
class Build:
    """Proportions of a body: 1 is the average, ``curve`` is hips against shoulders."""

    girth: float
    shoulders: float
    curve: float
    head: float
    stride: float


@dataclass(frozen=True)
class Upper:
    """What is worn above the waist: ``sleeve`` runs from 0 (shoulder) over 1 (elbow) to 2 (wrist)."""

    kind: str
    pattern: str
    colour: Colour
    second: Colour
    sleeve: float
    hem: float


@dataclass(frozen=True)
class Lower:
    """What is worn below the waist: ``length`` runs from 0 (hip) over 1 (knee) to 2 (ankle)."""

    kind: str
    colour: Colour
    length: float


@dataclass(frozen=True)
class Bag:
    """What is carried, and on which side: -1 is the person's right, 1 the left."""

    kind: str
    colour: Colour
    side: int


@dataclass(frozen=True)
class Traits:
    """A person as every camera sees them."""

    build: Build
    skin: Colour
    hair_style: str
    hair: Colour
    hat: Colour
    upper: Upper
    lower: Lower
    shoes: Colour
    bag: Bag


def draw_colour(rng: Draws, palette: dict[tuple[int, int, int], int]) -> Colour:
    """Returns a colour near one of the palette; its infrared reflectance depends on the material alone."""
    base, brightness = rng.weighted(palette), rng.normal(1, 0.05)
    red, green, blue = (min(max(part / 255 * brightness + rng.normal(0, 0.012), 0.04), 0.94) for part in base)
    return red, green, blue, rng.uniform(0.2, 0.95)


def distance(one: Colour, other: Colour) -> float:
    """Returns how far apart two displayed colours are (Euclidean, infrared left out)."""
    red, green, blue = (a - b for a, b in zip(one[:3], other[:3], strict=True))
    return sqrt(red * red + green * green + blue * blue)


def draw_apart(rng: Draws, palette: dict[tuple[int, int, int], int], *others: Colour) -> Colour:
    """Returns a colour of the palette that is told apart from each of the others at a glance."""
    while True:
        colour = draw_colour(rng, palette)
        if all(distance(colour, other) > VISIBLE_STEP for other in others):
            return colour


def draw_hair(rng: Draws, skin: Colour, *others: Colour) -> Colour:
    """Returns a colour of hair that shows on the skin and is told apart from each of the others."""
    while True:
        colour = draw_apart(rng, HAIR_PALETTE, *others)
        if distance(colour, skin) > HAIRLINE_STEP:
            return colour


def draw_upper(rng: Draws) -> Upper:
    """Returns a garment for the upper body."""
    kind = rng.weighted(UPPER_KINDS)
    colour = draw_colour(rng, UPPER_PALETTE)
    long = kind in ("sweater", "hoodie", "jacket", "coat") or (kind == "shirt" and rng.random() < 0.7)
    hem = {"coat": rng.uniform(0.27, 0.36), "dress": rng.uniform(0.27, 0.36)}.get(kind, rng.uniform(0.445, 0.485))
    pattern = "plain" if kind in ("coat", "jacket") else rng.weighted(PATTERNS)
    sleeve = rng.uniform(1.86, 1.97) if long else rng.uniform(0.5, 0.8)
    return Upper(kind, pattern, colour, draw_apart(rng, UPPER_PALETTE, colour), float(sleeve), float(hem))


def draw_lower(rng: Draws, kind: str) -> Lower:
    """Returns a garment of ``kind`` for the lower body."""
    low, high = {"shorts": (0.66, 0.98), "skirt": (0.7, 1.0), "long skirt": (1.45, 1.75)}.get(kind, (1.88, 1.97))
    return Lower(kind, draw_colour(rng, LOWER_PALETTE), rng.uniform(low, high))


def draw_traits(rng: Draws) -> Traits:
    """Returns a new person."""
    curve = 0.85 * rng.random() + 0.15 * rng.random()
    tone, brightness = rng.choice(SKINS), rng.normal(1, 0.03)
    red, green, blue = (part / 255 * brightness for part in tone)
    skin = (red, green, blue, rng.uniform(0.6, 0.8))
    styles = {k: w * (2 if k in ("long", "bob", "ponytail", "bun", "scarf") else 1) for k, w in HAIR_STYLES.items()}
    if curve < 0.5:
        styles = {k: w for k, w in HAIR_STYLES.items() if k not in ("ponytail", "bun", "scarf", "bob")}
    upper = draw_upper(rng)
    while upper.kind == "dress" and curve < 0.5:
        upper = draw_upper(rng)
    kinds = {k: w for k, w in LOWER_KINDS.items() if curve >= 0.5 or "skirt" not in k}
    kind = rng.choice(("slim", "trousers")) if upper.hem < LONG_HEM else rng.weighted(kinds)
    return Traits(
        build=Build(
            girth=min(max(rng.normal(1.0, 0.11), 0.82), 1.32),
            shoulders=float(1.06 - 0.12 * curve + rng.normal(0, 0.025)),
            curve=curve,
            head=rng.normal(1.0, 0.03),
            stride=rng.uniform(0.75, 1.15),
        ),
        skin=skin,
        hair_style=rng.weighted(styles),
        hair=draw_hair(rng, skin),
        hat=draw_colour(rng, BAG_PALETTE),
        upper=upper,
        lower=draw_lower(rng, kind),
        shoes=draw_colour(rng, SHOE_PALETTE),
        bag=Bag(rng.weighted(BAGS), draw_colour(rng, BAG_PALETTE), rng.choice((-1, 1))),
    )


def change_upper_colour(rng: Draws, traits: Traits) -> Traits:
    """Returns the person in an upper garment of another colour."""
    upper = traits.upper
    return replace(traits, upper=replace(upper, colour=draw_apart(rng, UPPER_PALETTE, upper.colour, upper.second)))


def change_lower(rng: Draws, traits: Traits) -> Traits:
    """Returns the person in a lower garment of another colour, or an upper one that hides it."""
    if traits.upper.hem < LONG_HEM and traits.lower.length < 1.2:
        return change_upper_colour(rng, traits)
    return replace(traits, lower=replace(traits.lower, colour=draw_apart(rng, LOWER_PALETTE, traits.lower.colour)))


def change_length(rng: Draws, traits: Traits) -> Traits:
    """Returns the person with bare legs where they were covered, or covered where they were bare."""
    short = traits.lower.length > 1.2
    kind = ("skirt" if traits.build.curve > 0.6 else "shorts") if short else "trousers"
    return replace(traits, lower=replace(draw_lower(rng, kind), colour=traits.lower.colour))


def change_hair(rng: Draws, traits: Traits) -> Traits:
    """Returns the person with hair of another length and colour, or under a hat where it was not."""
    bare = traits.hair_style in ("crop", "short", "bald")
    style = rng.choice(("long", "cap", "scarf") if bare else ("short", "crop"))
    return replace(traits, hair_style=style, hair=draw_hair(rng, traits.skin, traits.hair))


def change_pattern(rng: Draws, traits: Traits) -> Traits:
    """Returns the person in a plain upper garment where it was patterned all round, else in a patterned one."""
    plain = traits.upper.pattern in ("plain", "print")
    pattern = rng.choice(("stripes", "block")) if plain else "plain"
    second = draw_apart(rng, UPPER_PALETTE, traits.upper.colour)
    return replace(traits, upper=replace(traits.upper, pattern=pattern, second=second))


def change_sleeve(rng: Draws, traits: Traits) -> Traits:
    """Returns the person with bare arms where they were covered, or covered where they were bare."""
    sleeve = rng.uniform(0.5, 0.7) if traits.upper.sleeve > 1 else rng.uniform(1.86, 1.97)
    return replace(traits, upper=replace(traits.upper, sleeve=float(sleeve)))


def change_bag(rng: Draws, traits: Traits) -> Traits:
    """Returns the person without a backpack that stood out from what they wear, or with one."""
    if traits.bag.kind == "backpack" and distance(traits.bag.colour, traits.upper.colour) > VISIBLE_STEP:
        return replace(traits, bag=replace(traits.bag, kind="none"))
    colour = draw_apart(rng, BAG_PALETTE, traits.upper.colour, traits.bag.colour)
    return replace(traits, bag=Bag("backpack", colour, traits.bag.side))


CHANGES: tuple[Callable[[Draws, Traits], Traits], ...] = (
    change_upper_colour, change_lower, change_length, change_hair, change_pattern, change_sleeve, change_bag,
)  # fmt: skip


def draw_sibling(rng: Draws, traits: Traits) -> Traits:
    """Returns a person who differs from ``traits`` in one or two traits, each seen from most sides."""
    for change in rng.shuffled(CHANGES)[: rng.integer(1, 3)]:
        traits = change(rng, traits)
    return traits
