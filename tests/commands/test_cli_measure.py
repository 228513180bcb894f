"""`invert measure`: numbers with what they were measured on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from networks import small_checkpoint, small_mobile_tensors
from shell import Shell, make_photo, refused, succeeded
from small_inception import write_inception
from small_vgg import put_small_vgg

from invert.checkpoints import Checkpoint, write_checkpoint

CROPS = ("--size", "40", "--count", "6")


@pytest.fixture(autouse=True)
def vgg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a small VGG16."""
    return put_small_vgg(tmp_path / "cache", monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(3):
        make_photo(tmp_path / "photos" / f"{k}.png", (64, 64))
    return tmp_path / "photos"


def test_fd_vgg16_of_a_set_and_itself_is_zero(run: Shell, folder: Path, vgg: Path) -> None:
    out = succeeded(run("measure", "fd-vgg16", "photos", "photos", "--json"))
    facts = json.loads(out)
    assert facts["fd_vgg16"] == pytest.approx(0, abs=1e-9)
    assert facts["a"] == {"pictures": "photos", "size": [64, 64], "count": 3}
    digest = hashlib.sha256(vgg.read_bytes()).hexdigest()
    assert facts["features"]["sha256"] == digest


def test_fd_vgg16_compares_a_set_with_samples(run: Shell, folder: Path, network: Path) -> None:
    of = ("--network", network, "--seeds", "0-3")
    facts = json.loads(succeeded(run("measure", "fd-vgg16", "photos", *of, "--json")))
    assert facts["fd_vgg16"] > 0
    assert facts["b"]["seeds"] == "0-3"
    assert (facts["b"]["psi"], facts["b"]["noise"]) == (1.0, "random")
    lines = succeeded(run("measure", "fd-vgg16", "photos", *of)).splitlines()
    assert lines[0].split() == ["fd_vgg16", str(facts["fd_vgg16"])]


def test_crops_have_the_size_of_the_samples(run: Shell, folder: Path, network: Path) -> None:
    of = ("--network", network, "--seeds", "0-3", "--count", "2", "--json")
    facts = json.loads(succeeded(run("measure", "fd-vgg16", "photos/0.png", *of)))
    assert facts["a"]["size"] == [64, 64]


def test_kept_moments_are_gone_on_from_and_stand_for_their_set(run: Shell, folder: Path) -> None:
    command = ("measure", "fd-vgg16", "photos/0.png", "photos/0.png", "--size", "40", "--json")
    whole = json.loads(succeeded(run(*command, "--count", "6")))
    succeeded(run(*command, "--count", "4", "--keep-a", "a.safetensors"))
    again = run(*command, "--count", "6", "--keep-a", "a.safetensors")
    assert "a.safetensors: goes on from 4 pictures" in again.err
    assert json.loads(succeeded(again))["a"] == whole["a"]

    loaded = run("measure", "fd-vgg16", "a.safetensors", "photos/0.png", *CROPS, "--json")
    assert json.loads(succeeded(loaded))["fd_vgg16"] == pytest.approx(0, abs=1e-6)
    shown = json.loads(succeeded(run("info", "a.safetensors", "--json")))
    assert (shown["kind"], shown["count"]) == ("moments of features", 6)


def test_kept_moments_of_another_set_stay(run: Shell, folder: Path) -> None:
    make_photo(folder / "other" / "x.png", (48, 48))
    command = ("measure", "fd-vgg16", "photos/0.png", "photos/1.png", *CROPS)
    succeeded(run(*command, "--keep-a", "a.safetensors"))
    before = Path("a.safetensors").read_bytes()
    other = ("measure", "fd-vgg16", "photos/other/x.png", "photos/1.png", *CROPS)
    refused(run(*other, "--keep-a", "a.safetensors"), 2, "does not say that this command made it")
    refused(run(*command, "--count", "2", "--keep-a", "a.safetensors"), 2, "more than 2")
    assert Path("a.safetensors").read_bytes() == before
    succeeded(run(*other, "--keep-a", "a.safetensors", "--overwrite"))
    assert Path("a.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["photos", "photos", "--seeds", "0-3"], "got photos and --seeds; leave one of them out"),
        (["photos", "photos", "--class", "1"], "got photos and --class"),
        (["photos/0.png", "photos"], "one picture and --size N to cut it into crops"),
        (["photos", "photos/0.png", "--size", "40", "--count", "2", "--keep-a", "m.pt"],
         "expected a name that ends in .safetensors"),
        (["photos", "small"], "expected pictures of one size, got (height, width) [64, 64] and"),
        (["nowhere", "photos", "--size", "40"], "no such file"),
        (["photos", "photos", "--keep-a", "x.safetensors", "--keep-b", "x.safetensors"],
         "name one file"),
        (["photos/0.png", "photos", "--size", "24", "--max-pixels", "99"], "too large"),
        (["small.safetensors", "photos"], "expected the moments of a set"),
    ],
)  # fmt: skip
def test_sets_that_cannot_be_compared_are_refused(
    words: list[str], reason: str, run: Shell, folder: Path, network: Path
) -> None:
    make_photo(Path("small") / "0.png", (48, 48))
    result = run("measure", "fd-vgg16", *words)
    refused(result, result.code, reason)
    assert result.code in (2, 3, 4)


# --- a generator alone


def test_ppl_prints_what_it_was_measured_on(run: Shell, network: Path, vgg: Path) -> None:
    of = ("--network", network, "--seeds", "0-4", "--batch", "2", "--json")
    facts = json.loads(succeeded(run("measure", "ppl", *of)))
    assert facts["ppl"] > 0
    quantiles = facts["paths"]["quantiles"]
    assert quantiles["0%"] <= facts["ppl"] <= quantiles["100%"]
    assert (facts["paths"]["space"], facts["paths"]["sampling"]) == ("W", "end")
    assert facts["samples"]["seeds"] == "0-4"
    assert facts["features"]["sha256"] == hashlib.sha256(vgg.read_bytes()).hexdigest()


def test_resolutions_prints_shares_from_coarse_to_fine(run: Shell, network: Path) -> None:
    out = succeeded(run("measure", "resolutions", "--network", network, "--seeds", "0-1"))
    lines = [line.split() for line in out.splitlines()]
    assert [name for name, *_ in lines[:5]] == [f"share.{4 << k}" for k in range(5)]
    assert sum(float(value) for _, value in lines[:5]) == pytest.approx(1)


def test_jacobian_prints_the_spectrum(run: Shell, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "tiny.safetensors", small_checkpoint(16, w_dim=8))
    of = ("measure", "jacobian", "--network", "tiny.safetensors", "--seeds", "0,1")
    facts = json.loads(succeeded(run(*of, "--json")))
    assert facts["singular_values"]["count"] == 8
    assert facts["relative_spectrum"]["mean"][0] == 1
    assert facts["frobenius"] > facts["singular_values"]["largest"]
    some = json.loads(succeeded(run(*of, "--rank", "1", "--json")))
    largest = facts["singular_values"]["largest"]
    assert some["singular_values"]["largest"] == pytest.approx(largest, rel=0.01)
    assert "frobenius" not in some


def test_measures_of_a_generator_refuse_what_they_cannot_measure(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    of = ("--network", network, "--seeds", "0")
    refused(run("measure", "ppl", *of, "--epsilon", "2"), 2, "epsilon is a number in (0, 0.1]")
    refused(run("measure", "jacobian", *of, "--rank", "33"), 2, "rank is an integer in [1, 32]")
    write_checkpoint(
        tmp_path / "mobile.safetensors",
        Checkpoint("mobile-stylegan", "invert", {}, small_mobile_tensors(), {}),
    )
    of = ("--network", "mobile.safetensors", "--seeds", "0")
    refused(run("measure", "resolutions", *of), 2, "mobile-stylegan makes them in one piece")


# --- torch-fidelity


def test_kid_prints_what_it_was_measured_on(run: Shell, folder: Path, tmp_path: Path) -> None:
    path = write_inception(tmp_path / "inception.pth")
    of = ("photos/0.png", "photos", "--size", "32", "--count", "2", "--inception", path, "--json")
    facts = json.loads(succeeded(run("measure", "kid", *of, "--subset-size", "2")))
    assert facts["subsets"] == {"count": 100, "size": 2, "seed": 2020}
    assert (facts["a"]["count"], facts["b"]["count"]) == (2, 2)
    assert facts["features"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_fid_refuses_weights_of_another_network(run: Shell, folder: Path, vgg: Path) -> None:
    result = run("measure", "fid", "photos", "photos", "--inception", vgg)
    refused(result, 4, "expected torch-fidelity's weights-inception-2015-12-05-6726825d.pth")
