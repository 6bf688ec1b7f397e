"""Tiny data sets in the exact layout of each real one, good unless a test spoils them."""

from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

FORMAT = {".bmp": "BMP", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def image(path: Path, size: tuple[int, int] = (8, 16)) -> Path:
    """Writes an image of noise, another one for every path; ``size`` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = list(path.as_posix().encode())
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format=FORMAT[path.suffix])
    return path


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def market1501(root: Path) -> Path:
    folder = root / "Market-1501-v15.09.15"
    for name in (
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "bounding_box_train/0007_c3s3_077419_03.jpg",
        "query/0001_c1s1_001051_00.jpg",
        "bounding_box_test/-1_c1s1_000401_03.jpg",
        "bounding_box_test/0000_c1s1_000151_01.jpg",
        "bounding_box_test/0001_c2s1_001976_02.jpg",
        "images/0000_c1s1_000001_00.jpg",
    ):
        image(folder / name)
    return folder


def dukemtmc(root: Path) -> Path:
    folder = root / "DukeMTMC-reID"
    for name in (
        "bounding_box_train/0001_c2_f0046182.jpg",
        "query/0005_c2_f0046985.jpg",
        "bounding_box_test/0005_c5_f0051341.jpg",
        "bounding_box_test/7000_c8_f0000001.jpg",
    ):
        image(folder / name)
    return folder


MSMT17_LISTS = {
    "list_train.txt": [("0000/0000_000_01_0303morning_0015_0.jpg", 0), ("0001/0001_000_15_0113noon_0032_1.jpg", 1)],
    "list_val.txt": [("0000/0000_001_03_0303morning_0020_0_ex.jpg", 0)],
    "list_query.txt": [("0000/0000_000_02_0114afternoon_0001_0.jpg", 0), ("0001/0001_000_02_0302noon_0007_0.jpg", 1)],
    "list_gallery.txt": [("0000/0000_001_05_0114afternoon_0002_0.jpg", 0), ("0001/0001_001_07_0302noon_0008_0.jpg", 1)],
}


def msmt17(root: Path, version: str = "V1") -> Path:
    folder = root / f"MSMT17_{version}"
    train, test = {"V1": ("train", "test"), "V2": ("mask_train_v2", "mask_test_v2")}[version]
    for name, lines in MSMT17_LISTS.items():
        text(folder / name, *(f"{path} {label}" for path, label in lines))
        for path, _ in lines:
            image(folder / (train if name in ("list_train.txt", "list_val.txt") else test) / path)
    return folder


def msmt17_converted(root: Path) -> Path:
    folder = root / "MSMT17_V1"
    for name in (
        "bounding_box_train/0000_c1_0000.jpg",
        "bounding_box_train/0001_c15_0001.jpg",
        "query/0000_c2_0000.jpg",
        "bounding_box_test/0000_c5_0001.jpg",
    ):
        image(folder / name)
    return folder


CUHK03_FILES = ["1_001_1_01.png", "1_001_2_06.png", "1_002_1_01.png", "1_002_1_02.png", "5_002_2_06.png"]
CUHK03_LABELS = [1, 1, 2, 2, 2]


def cuhk03_protocol(folder: Path, boxes: str, **changes: object) -> None:
    """Writes the file of the new protocol: row numbers count from 1, names stand in a cell array."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.empty((len(CUHK03_FILES), 1), dtype=object)
    names[:, 0] = CUHK03_FILES
    content = {
        "filelist": names,
        "labels": np.array(CUHK03_LABELS)[:, None],
        "train_idx": np.array([[1], [2]], dtype=np.uint16),
        "query_idx": np.array([[3]], dtype=np.uint16),
        "gallery_idx": np.array([[4], [5]], dtype=np.uint16),
    }
    savemat(folder / f"cuhk03_new_protocol_config_{boxes}.mat", content | changes)


def cuhk03(root: Path, boxes: str = "labeled") -> Path:
    folder = root / "cuhk03"
    cuhk03_protocol(folder, boxes)
    for name in CUHK03_FILES:
        image(folder / f"images_{boxes}" / name)
    return folder


def cuhk03_raw(root: Path, boxes: str = "labeled") -> Path:
    """As its makers give it: all images in one HDF5 file of references, arrays transposed, missing ones empty."""
    folder = root / "cuhk03_raw"
    cuhk03_protocol(folder, boxes)
    (folder / "cuhk03_release").mkdir()
    with h5py.File(folder / "cuhk03_release" / "cuhk-03.mat", "w") as file:
        pairs = []
        for pair in range(1, 6):
            cells = np.empty((10, 2), dtype=h5py.ref_dtype)
            for person in range(1, 3):
                for number in range(1, 11):
                    name = f"{pair}_{person:03d}_{1 if number <= 5 else 2}_{number:02d}.png"
                    data = file.create_dataset(f"cells/{name}", data=cuhk03_pixels(name).T)
                    cells[number - 1, person - 1] = data.ref
            pairs.append(file.create_dataset(f"pairs/{pair}", data=cells, dtype=h5py.ref_dtype).ref)
        file.create_dataset(boxes, data=np.array([pairs], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
    return folder


def cuhk03_pixels(name: str) -> np.ndarray:
    """Returns the image [16, 8, 3] of a cell, or the empty array [0, 0] that stands for none."""
    if name not in CUHK03_FILES:
        return np.zeros((0, 0), dtype=np.uint64)
    return np.random.default_rng(CUHK03_FILES.index(name)).integers(0, 256, (16, 8, 3), dtype=np.uint8)


def synergyreid(root: Path) -> Path:
    folder = root / "synergyreid_data"
    for name in (
        "reid_training/0000_0001_0000.jpeg",
        "reid_training/0435_0002_0005.jpeg",
        "reid_test/query/0436_0003_0000.jpeg",
        "reid_test/gallery/0436_0003_0001.jpeg",
        "reid_test/gallery/0436_0003_0002.jpeg",
        "reid_challenge/query/000000.jpeg",
        "reid_challenge/gallery/000000.jpeg",
    ):
        image(folder / name)
    return folder


SYSU_SEEN = {1: (1, 3, 4), 2: (2, 6), 3: (1, 2, 3, 4, 5, 6), 5: (1, 3)}
"""The cameras that saw each identity, twice each."""


def sysu_mm01(root: Path) -> Path:
    folder = root / "SYSU-MM01"
    for camera in range(1, 7):
        (folder / f"cam{camera}").mkdir(parents=True)
    for person, cameras in SYSU_SEEN.items():
        for camera in cameras:
            for frame in (1, 2):
                image(folder / f"cam{camera}" / f"{person:04d}" / f"{frame:04d}.jpg")
    for name, people in {"train_id": "1", "val_id": "2", "test_id": "3,5"}.items():
        text(folder / "exp" / f"{name}.txt", people)
    return folder


def sysu_draws(folder: Path, trials: int = 2) -> None:
    """Writes the file of permutations: cameras, in it identities, in it an array [trials, images] from 1."""
    cameras = np.empty((6, 1), dtype=object)
    for camera in range(1, 7):
        people = np.empty((5, 1), dtype=object)
        for person in range(1, 6):
            seen = camera in SYSU_SEEN.get(person, ())
            orders = [[2, 1] if trial % 2 else [1, 2] for trial in range(trials)]
            people[person - 1, 0] = np.array(orders if seen else np.zeros((trials, 0)), dtype=np.uint8)
        cameras[camera - 1, 0] = people
    savemat(folder / "exp" / "rand_perm_cam.mat", {"rand_perm_cam": cameras})


REGDB_TRAIN = {1: {285: 0, 117: 1}, 2: {12: 0, 117: 1}}
"""For each split the identities that train, with their labels; the others are tested."""
REGDB_PEOPLE = (12, 117, 285)


def regdb(root: Path) -> Path:
    folder = root / "RegDB"
    for split, train in REGDB_TRAIN.items():
        test = {person: label for label, person in enumerate(set(REGDB_PEOPLE) - set(train))}
        for part, labels in (("train", train), ("test", test)):
            for kind, letter in (("visible", "v"), ("thermal", "t")):
                lines = []
                for person, label in labels.items():
                    for shot in (1, 2):
                        path = f"{kind.capitalize()}/{person}/male_back_{letter}_{shot:05d}_{person}.bmp"
                        image(folder / path)
                        lines.append(f"{path} {label}")
                text(folder / "idx" / f"{part}_{kind}_{split}.txt", *lines)
    return folder


def llcm(root: Path) -> Path:
    folder = root / "LLCM"
    for kind in ("vis", "nir"):
        lines = []
        for person, label in ((1, 0), (4, 1)):
            path = f"{kind}/{person:04d}/{person:04d}_c03_s184251_f31995_{kind}.jpg"
            image(folder / path)
            lines.append(f"{path} {label}")
        text(folder / "idx" / f"train_{kind}.txt", *lines)
        for person in (3, 7):
            for camera in (1, 9):
                name = f"{person:04d}_c{camera:02d}_s185734_f3195_{kind}.jpg"
                image(folder / f"test_{kind}" / f"cam{camera}" / f"{person:04d}" / name)
    text(folder / "idx" / "test_id.txt", "3,7")
    return folder


PKU_REID_PEOPLE = (1, 3, 8, 20, 114)


def pku_reid(root: Path) -> Path:
    folder = root / "PKUv1a_128x48"
    for name in _pku_reid_names("_"):
        jpeg_named_png(folder / name)
    return folder


def pku_reid_part(root: Path) -> Path:
    """As a part of it lies in a public repository: the persons in folders, some test images there once more."""
    folder = root / "data"
    for name in _pku_reid_names("/"):
        jpeg_named_png(folder / ("val/all_imgs" if name < "008" else "train") / name)
    for name in ("query/001/01_1.png", "gallery/001/02_1.png"):
        jpeg_named_png(folder / "val" / name)
    return folder


def _pku_reid_names(after_person: str) -> list[str]:
    shots = [f"{camera:02d}_{side}.png" for camera in (1, 2) for side in (1, 8)]
    return [f"{person:03d}{after_person}{shot}" for person in PKU_REID_PEOPLE for shot in shots]


def jpeg_named_png(path: Path) -> None:
    image(path.with_suffix(".jpg")).rename(path)


def people_folder(root: Path) -> Path:
    """A folder for each of six persons, by two cameras, two images each."""
    folder = root / "my_people"
    for name in ("anna", "ben", "carla", "dora", "emil", "0042"):
        for camera in (1, 2):
            for shot in (1, 2):
                image(folder / name / f"door_c{camera}_{shot}.jpg")
    return folder
