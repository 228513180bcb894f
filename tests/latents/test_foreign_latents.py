"""Latents of other projects come in as points of the right space, and ours go out; both ways keep
every bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import small_generator
from shell import Shell, make_photo, one_line, refused, succeeded
from torch import Tensor

from invert.errors import ModelFileError
from invert.latents.foreign_latents import read_points, to_latent
from invert.latents.latent import Latent

GENERATOR = small_generator()
WS = torch.randn(3, 10, 32, generator=torch.Generator().manual_seed(0))
ONE = WS[:1]


def styles(path: str) -> Tensor:
    found = Latent.load(path).styles
    assert isinstance(found, Tensor)
    return found


def npz(**arrays: Tensor) -> Callable[[Path], Any]:
    return lambda path: np.savez(path, **{k: v.numpy() for k, v in arrays.items()})


def npy(array: Tensor) -> Callable[[Path], Any]:
    return lambda path: np.save(path, array.numpy())


def pt(content: Any) -> Callable[[Path], Any]:
    return lambda path: torch.save(content, path)


def npy_of_objects(path: Path) -> None:
    np.save(path, np.array({"a.png": 1}, dtype=object), allow_pickle=True)


FILES: list[tuple[str, Callable[[Path], Any], str, str, Tensor]] = [
    ("projected_w.npz", npz(w=ONE), "projected_w.pt", "W+", ONE),
    ("half.npz", npz(w=ONE.half()), "half.pt", "W+", ONE.half().float()),
    ("double.npz", npz(w=ONE.double()), "double.pt", "W+", ONE),
    ("big_endian.npy", lambda p: np.save(p, ONE.numpy().astype(">f4")), "big_endian.pt", "W+", ONE),
    ("dlatents.npz", npz(dlatents=ONE), "dlatents.pt", "W+", ONE),
    ("any.npz", npz(whatever=ONE), "any.pt", "W+", ONE),
    ("two.npz", npz(loss=torch.zeros(9), w=ONE), "two.pt", "W+", ONE),
    ("layers.npy", npy(WS[0]), "layers.pt", "W+", ONE),
    ("batch.npy", npy(ONE), "batch.pt", "W+", ONE),
    ("deep.npy", npy(ONE[None]), "deep.pt", "W+", ONE),
    ("one.npy", npy(WS[0, 0]), "one.pt", "W", WS[0, :1]),
    ("row.npy", npy(WS[0, :1]), "row.pt", "W", WS[0, :1]),
    ("equal.npz", npz(w=WS[0, :1].repeat(1, 10, 1).contiguous()), "equal.pt", "W", WS[0, :1]),
    ("0.pt", pt(ONE), "0.imported.pt", "W+", ONE),
    ("bare.pt", pt(WS[0]), "bare.imported.pt", "W+", ONE),
    ("grad.pt", pt(torch.nn.Parameter(ONE)), "grad.imported.pt", "W+", ONE),
    ("pivot.pth", pt({"w": ONE}), "pivot.pt", "W+", ONE),
    ("r.pt", pt({"a.png": {"latent": WS[0, 0], "noise": []}}), "r.imported.pt", "W", WS[0, :1]),
]


@pytest.mark.parametrize(
    ("name", "write", "out", "space", "expected"), FILES, ids=[f[0] for f in FILES]
)
def test_a_point_comes_in_with_its_space(
    name: str,
    write: Callable[[Path], Any],
    out: str,
    space: str,
    expected: Tensor,
    run: Shell,
    network: Path,
) -> None:
    write(Path(name))
    result = run("import-latent", name, "--network", network)
    assert succeeded(result).split() == [str(Path(out).with_suffix(".png")), out]
    assert f"{space}: " in result.err
    assert str(Latent.load(out).space) == space
    assert torch.equal(styles(out), expected)
    succeeded(run("render", out))
    assert (
        Path(out).with_suffix(".render.png").read_bytes()
        == Path(out).with_suffix(".png").read_bytes()
    )


def test_several_points_become_several_files(run: Shell, network: Path) -> None:
    torch.save(WS, "latents.pt")
    succeeded(run("import-latent", "latents.pt", "--network", network))
    for k in range(3):
        assert torch.equal(styles(f"latents.imported.{k}.pt"), WS[k : k + 1])
    succeeded(
        run("import-latent", "latents.pt", "--network", network, "--index", "2", "-o", "third.png")
    )
    assert torch.equal(styles("third.pt"), WS[2:])
    refused(
        run("import-latent", "latents.pt", "--network", network, "--index", "3"),
        2,
        "expected 0 to 2",
    )
    refused(run("import-latent", "latents.pt", "--network", network, "-o", "x.pt"), 2, "--index")
    torch.save([WS[0], WS[1]], "list.pt")
    succeeded(run("import-latent", "list.pt", "--network", network))
    assert torch.equal(styles("list.imported.1.pt"), WS[1:2])
    np.save("ws.npy", WS[0, :4].numpy())
    refused(run("import-latent", "ws.npy", "--network", network), 4, "--rows-are-points")
    succeeded(run("import-latent", "ws.npy", "--network", network, "--rows-are-points"))
    assert torch.equal(styles("ws.3.pt"), WS[0, 3:4])


def test_options_that_say_nothing_about_a_file_are_refused(run: Shell, network: Path) -> None:
    torch.save({"a.png": {"latent": WS[0, 0], "noise": []}}, "projected.pt")
    for option in (["--key", "w"], ["--rows-are-points"]):
        result = run("import-latent", "projected.pt", "--network", network, *option)
        refused(result, 4, f"leave out {option[0]}, --index chooses one")
    np.save("codes.npy", WS[:, :4].numpy())
    result = run("import-latent", "codes.npy", "--network", network, "--rows-are-points")
    refused(result, 4, "an array [3, 4, 32] has a w for each layer; --rows-are-points")


def test_the_noise_of_rosinalitys_projector_comes_along(run: Shell, network: Path) -> None:
    noise = [torch.randn_like(m) for m in GENERATOR.convert(GENERATOR.sample(0), "NW+").noise or ()]
    img = torch.zeros(1, 3, 64, 64)
    entries = {
        "in/a.png": {"img": img, "latent": WS[0, 0], "noise": noise},
        "in/b.png": {"img": img, "latent": WS[1], "noise": [torch.zeros(1, 1, 4, 4)]},
    }
    torch.save(entries, "projected.pt")
    result = run("import-latent", "projected.pt", "--network", network)
    succeeded(result)
    first, second = (Latent.load(f"projected.imported.{name}.pt") for name in "ab")
    assert (str(first.space), str(second.space)) == ("NW+", "W+")
    assert first.noise is not None
    assert all(torch.equal(a, b) for a, b in zip(first.noise, noise, strict=True))
    assert torch.equal(styles("projected.imported.a.pt"), WS[0, :1].expand(10, 32)[None])
    assert "noise maps are of other sizes" in result.err


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("wide.npz", npz(w=torch.zeros(1, 10, 512)),
         "or 10 layers of it, for small; got [10, 512]"),
        ("deep.npz", npz(w=torch.randn(1, 18, 32)), "got [18, 32], of another network"),
        ("many.npz", npz(a=ONE, b=ONE), "choose a key: a, b"),
        ("nan.npz", npz(w=ONE * float("nan")), "NaN or infinity"),
        ("none.npz", npz(w=torch.zeros(0, 10, 32)), "empty or holds NaN"),
        ("int.pt", pt(torch.zeros(1, 10, 32, dtype=torch.int64)), "is int64, expected floats"),
        ("map.npy", npy(torch.zeros(2, 3, 4, 32)), "an array [2, 3, 4, 32], expected [w_dim]"),
        ("scalar.npy", npy(torch.tensor(3.0)), "arrays [], none of vectors; save [w_dim]"),
        ("net.npz", npz(**{"style.1.weight": WS[0]}), "a NumPy archive of a network's weights"),
        ("latents.npy", npy_of_objects,
         "an array of Python objects, which could run code when loaded"),
        ("ours.pt", lambda p: GENERATOR.sample(0).save(p),
         "this is a latent; `invert edit ours.pt"),
        ("face.png", lambda p: make_photo(p), "this is a picture; `invert project face.png`"),
        ("lat.npz", npz(lat_comp=ONE), "`invert directions import lat.npz"),
        ("gone.npz", lambda p: None, "no such file"),
    ],
)  # fmt: skip
def test_what_is_no_point_is_named(
    name: str, write: Callable[[Path], Any], reason: str, run: Shell, network: Path
) -> None:
    write(Path(name))
    refused(run("import-latent", name, "--network", network), 4, reason)
    assert not list(Path(".").glob("*.pt")) or list(Path(".").glob("*.pt")) == [Path(name)]


def test_names_inside_a_file_lead_nowhere_else(run: Shell, network: Path) -> None:
    entries = {name: {"latent": WS[0, 0]} for name in ("../../../x\x1b[2J.png", "C:\\b.png")}
    torch.save(entries, "r.pt")
    out = succeeded(run("import-latent", "r.pt", "--network", network)).split()
    assert out[1::2] == ["r.imported.0.pt", "r.imported.1.pt"]


def test_an_imported_latent_is_not_imported_over_another_file(run: Shell, network: Path) -> None:
    np.savez("a.npz", w=ONE.numpy())
    Path("a.png").write_bytes(b"mine")
    refused(run("import-latent", "a.npz", "--network", network), 2, "--overwrite")
    assert Path("a.png").read_bytes() == b"mine"


EXPORTS = [
    ("projected-w", "x.npz"),
    ("npy", "x.npy"),
    ("e4e", "x.pt"),
    ("pti", "x.pt"),
    (None, "x.npz"),
]


@pytest.mark.parametrize(("kind", "file"), EXPORTS)
@pytest.mark.parametrize("space", ["W", "W+"])
def test_what_goes_out_comes_back_bit_by_bit(
    kind: str | None, file: str, space: str, run: Shell, network: Path
) -> None:
    latent = GENERATOR.sample(0) if space == "W" else GENERATOR.latent(ONE)
    latent.save("a.pt")
    chosen = ["--format", kind] if kind else []
    assert succeeded(
        run("export-latent", "a.pt", *chosen, "-o", file, "--network", network)
    ).split() == [file]
    succeeded(run("import-latent", file, "--network", network, "-o", "back.pt"))
    back = Latent.load("back.pt")
    assert str(back.space) == space
    assert torch.equal(styles("back.pt"), styles("a.pt"))


def test_exports_have_the_shapes_that_others_read(run: Shell, network: Path) -> None:
    GENERATOR.latent(ONE).save("a.pt")
    GENERATOR.latent(WS).save("batch.pt")
    for kind in ("projected-w", "npy", "e4e", "pti"):
        succeeded(run("export-latent", "a.pt", "--format", kind, "--network", network))
    succeeded(run("export-latent", "batch.pt", "-o", "batch.npy", "--network", network))
    assert np.load("a.projected_w.npz")["w"].shape == (1, 10, 32)
    assert np.load("a.npy").shape == (10, 32)
    assert np.load("batch.npy").shape == (3, 10, 32)
    for name in ("a.latents.pt", "a.pti.pt"):
        assert torch.load(name, weights_only=True).shape == (1, 10, 32)
    assert (
        json.loads(run("info", "a.projected_w.npz", "--json").out)["kind"]
        == "latent of another project"
    )


@pytest.mark.parametrize("space", ["NW+", "FNW5", "SW+"])
def test_what_others_cannot_hold_is_not_dropped(space: str, run: Shell, network: Path) -> None:
    succeeded(run("generate", "--network", network, "--seeds", "0", "--space", space))
    result = run("export-latent", "seed0000.pt")
    refused(result, 2, f"seed0000.pt: {space} cannot become W+ without loss")
    assert "--space W+" in one_line(result)


def test_a_suffix_that_is_not_the_formats_is_refused(run: Shell, network: Path) -> None:
    GENERATOR.sample(0).save("a.pt")
    refused(
        run("export-latent", "a.pt", "-o", "a.txt"),
        2,
        "expected a name that ends in .npz or .npy or .pt",
    )
    refused(run("export-latent", "a.pt", "-o", "a.npz", "--format", "e4e"), 2, "ends in .pt")
    refused(
        run("export-latent", "a.pt", "-o", "a.pt", "--network", network),
        2,
        "an input of this command",
    )


def test_points_of_python(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=ONE.numpy())
    [point] = read_points(tmp_path / "w.npz")
    latent, remark = to_latent(GENERATOR, point)
    assert torch.equal(GENERATOR.render(latent), GENERATOR.render(GENERATOR.latent(ONE)))
    assert remark == "W+: a w for each layer"
    with pytest.raises(ModelFileError, match="no array x; choose a key: w"):
        read_points(tmp_path / "w.npz", key="x")
