"""Whatever lies where a file is expected, reading it ends at once, with a sentence."""

import json
import os
import shutil
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.backbones.weights import WeightsError, read_state
from pipeline.datasets.layouts.lists import read_ids, read_pairs
from pipeline.datasets.layouts.matlab import read_variables
from pipeline.datasets.readers.folder import list_images
from pipeline.datasets.validation.examination import examine
from pipeline.images import table
from pipeline.images.store import ImageStore
from pipeline.inference import read_images
from pipeline.inputs import open_array, printable, read_bytes, read_record, read_text
from pipeline.search import search
from pipeline.training.checkpoint import CheckpointError, read_meta


@pytest.fixture(autouse=True)
def ends_soon():
    def fail(*ignored):
        raise AssertionError("it waits for a pipe, or reads a device that has no end")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path):
    os.mkfifo(path)
    return "a pipe"


def device(path):
    path.symlink_to("/dev/zero")
    return "a device"


def folder(path):
    path.mkdir()
    return "a folder"


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))
    return "a socket"


READERS = {
    "bytes": read_bytes,
    "text": read_text,
    "array": open_array,
    "record": lambda file: read_record(file, {}),
    "list of images": lambda file: read_pairs(file.parent, file.name, []),
    "list of identities": lambda file: read_ids(file.parent, file.name, []),
    "MATLAB": lambda file: read_variables(file, ["x"]),
    "image": lambda file: read_images([file], 8, 4, "bicubic"),
    "query": lambda file: search(file.parent, file.parent, file, count=1, infrared="none"),
    "weights": read_state,
    "table": table.read,
    "checkpoint": lambda file: read_meta(file.parent),
}


@pytest.mark.parametrize("make", [pipe, device, folder, listening])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_plain_file_is_called_what_it_is(tmp_path, monkeypatch, reader, make):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "meta.json"
    what = make(file)
    with pytest.raises(ValueError, match=f"{file} is {what}, expected a plain file"):
        READERS[reader](file)


def test_files_that_are_not_there_too_large_or_in_another_encoding_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such file"):
        read_bytes(tmp_path / "absent")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"large has 1,099,511,627,776 bytes, expected 268,435,456 at most"):
        read_bytes(tmp_path / "large")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"latin is not in UTF-8, from its byte 3 on"):
        read_text(tmp_path / "latin")


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda file: file.write_bytes(b""), "it is empty"),
        (lambda file: file.write_bytes(b"no array"), "it is no .npy file"),
        (lambda file: np.save(file, np.array([{}, []], dtype=object)), "it holds Python objects"),
        (lambda file: np.savez(file.with_suffix(""), a=np.ones(3)), r"is an archive of arrays \(\.npz\)"),
        (lambda file: file.write_bytes(b"\x93NUMPY\x01\x00"), "cut short or no array"),
    ],
)
def test_arrays_of_other_kinds_are_called_what_they_are(tmp_path, save, message):
    file = tmp_path / "embeddings.npy"
    save(file)
    if not file.exists():
        shutil.move(tmp_path / "embeddings.npz", file)
    with pytest.raises(ValueError, match=message):
        open_array(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no JSON"),
        ("[1]", "expected an object with height, name, got list"),
        ('{"height": 3}', "lacks name"),
        ('{"height": "3", "name": "a"}', "height is of the wrong type, str: '3'"),
        ('{"height": true, "name": "a"}', "height is of the wrong type, bool: True"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_records_of_other_types_are_named_with_their_key(tmp_path, content, message):
    (tmp_path / "meta.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_record(tmp_path / "meta.json", {"height": int, "name": str})


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("meta.json", b"[]"),
        ("meta.json", b'{"height": [32], "width": 16, "fingerprint": 1}'),
        ("meta.json", b"\xff\xfe"),
        ("images.npy", b""),
        ("table.parquet", b"PAR1"),
        ("table.parquet", b""),
    ],
)
def test_a_store_of_other_content_is_refused_in_words(noise, tmp_path, file, content):
    store = Path(shutil.copytree(noise, tmp_path / "store"))
    (store / file).write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s){store / file}.*(build the store again|no table)"):
        ImageStore(store)


@pytest.mark.parametrize("meta", ["[]", "3", "{}", '{"files": [1]}', '{"files": null, "meta": 5}', "[" * 100_000, "é"])
def test_a_checkpoint_that_says_nothing_sensible_is_refused(tmp_path, meta):
    (tmp_path / "meta.json").write_text(meta, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"meta\.json"):
        read_meta(tmp_path)


def test_names_that_are_not_in_utf_8_are_named_and_keep_a_data_set_from_being_prepared(tmp_path):
    for person in (b"ann", b"eve", b"b\xe9n"):
        place = tmp_path / os.fsdecode(person)
        place.mkdir()
        for number in (1, 2):
            Image.effect_noise((16, 32), 99).convert("RGB").save(place / f"{number}.png")
    listing = list_images(tmp_path, train_share=0.5, seed=1, camera=None)
    _, report = examine(listing, name="mine", is_whole=False, cache=None, workers=1)
    named = [error.text for error in report.errors if "UTF-8" in error.text]
    assert len(named) == 1
    assert named[0].startswith("b\\xe9n: ")
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["num_errors"] >= 1
    str(report).encode()


def test_what_is_printable_stays_as_it_is():
    assert printable("Jörg/1.png") == "Jörg/1.png"
    assert printable(os.fsdecode(b"b\xe9n")) == "b\\xe9n"


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights at .*absent\.pth: put the file there"):
        read_state(tmp_path / "absent.pth")
