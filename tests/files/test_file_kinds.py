"""`invert info` names every kind of file, ours and others', and a file in the wrong place is told
where it belongs.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from foreign_files import canonical, rosinality_state
from networks import small_generator
from PIL import Image
from shell import QUICK, Shell, make_photo, one_line, refused, succeeded

from directions.direction import Direction
from directions.direction_files import save_direction
from edits.attributes.catalog import FOLDER as ATTRIBUTE_MODELS
from invert.checkpoints.safe_safetensors import load_safetensors
from invert.describe import describe
from invert.encoders.encoder_files import bundled_encoders
from invert.errors import InvertError
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.spaces import PARTS

ROWS = np.random.default_rng(0).standard_normal((1, 10, 32)).astype("f")
PROJECTOR = {
    "a.png": {
        "img": torch.zeros(1, 3, 8, 8),
        "latent": torch.zeros(32),
        "noise": [torch.zeros(1, 1, 4, 4)],
    }
}


def write_direction(path: Path) -> None:
    save_direction(Direction("mine", torch.eye(32)[0], 1.0, "mine", ""), path)


def save_weights(path: Path) -> None:
    metadata = {"architecture": "mtcnn", "config": {}, "details": {"licence": "MIT"}, "version": 1}
    path.write_bytes(
        safetensors.torch.save({"w": torch.zeros(2)}, {"invert": json.dumps(metadata)})
    )


def save_wheel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pack/data.bin", b"x")
        archive.writestr("pack-1.0.dist-info/METADATA", b"x")


def save_converted(path: Path) -> None:
    """What rosinality's converter writes."""
    torch.save({"g_ema": rosinality_state(canonical()), "latent_avg": torch.zeros(16)}, path)


def save_training(path: Path) -> None:
    keys = ("settings", "model", "average", "optimizer")
    torch.save(
        {
            "fingerprint": "",
            "layer": 5,
            "step": 1,
            "seconds": 0.0,
            "start": "",
            **{k: {} for k in keys},
        },
        path,
    )


def save_gan_training(path: Path) -> None:
    from invert.gan.crops import Crops
    from invert.gan.settings import GanSettings
    from invert.gan.training import GanTraining
    from invert.gan.training_state import save_run

    settings = GanSettings(resolution=8, channel_base=32, channel_max=4, z_dim=4, w_dim=4)
    save_run(GanTraining(settings, Crops([np.zeros((8, 8, 3), np.uint8)], settings.crops)), path)


KINDS: list[tuple[str, Callable[[Path], Any], str, str]] = [
    ("a.pt", lambda p: small_generator().sample(0).save(p), "latent", "invert edit a.pt"),
    (
        "a.safetensors",
        lambda p: small_generator().sample(0).save(p),
        "latent",
        "invert edit a.safetensors",
    ),
    ("d.safetensors", write_direction, "direction", "--direction d.safetensors"),
    (
        "m.safetensors",
        lambda p: shutil.copy(next(ATTRIBUTE_MODELS.glob("*")), p),
        "attribute model",
        "--features m.saf",
    ),
    (
        "e.safetensors",
        lambda p: shutil.copy(next(iter(bundled_encoders().values())), p),
        "encoder",
        "--encoder e.saf",
    ),
    ("converted.pt", save_converted, "checkpoint", "--network converted.pt"),
    ("net.safetensors", save_weights, "weights", "invert networks"),
    ("run.pt", save_training, "training state", "--resume"),
    ("gan.pt", save_gan_training, "training state of a generator", "invert train gan --resume"),
    ("w.npz", lambda p: np.savez(p, w=ROWS), "latent of another project", "import-latent w.npz"),
    (
        "d.npz",
        lambda p: np.savez(p, dlatents=ROWS),
        "latent of another project",
        "import-latent d.npz",
    ),
    (
        "0.pt",
        lambda p: torch.save(torch.tensor(ROWS), p),
        "latent of another project",
        "import-latent 0.pt",
    ),
    (
        "old.pt",
        lambda p: torch.save(torch.tensor(ROWS), p, _use_new_zipfile_serialization=False),
        "latent of an",
        "im",
    ),
    ("r.pt", lambda p: torch.save(PROJECTOR, p), "latent of another project", "import-latent r.pt"),
    (
        "w.npy",
        lambda p: np.save(p, ROWS[0]),
        "vectors of another project",
        "directions import w.npy",
    ),
    (
        "s.pt",
        lambda p: torch.save({"eigvec": torch.eye(32)}, p),
        "directions of another project",
        "import s.pt",
    ),
    (
        "c.npz",
        lambda p: np.savez(p, lat_comp=ROWS),
        "directions of another project",
        "directions import c.npz",
    ),
    ("face.png", lambda p: make_photo(p), "picture", "invert project face.png"),
    (
        "face.gif",
        lambda p: Image.new("RGB", (32, 32)).save(p),
        "picture",
        "invert project face.gif",
    ),
    (
        "film.mp4",
        lambda p: p.write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42"),
        "video",
        "save a frame as PNG",
    ),
    ("pack.whl", save_wheel, "package wheel", "--wheel pack.whl"),
    (
        "s.csv",
        lambda p: p.write_text("seed,score\n1,0.5\n2,0.7\n"),
        "table",
        "directions learn s.csv",
    ),
]


@pytest.mark.parametrize(("name", "write", "kind", "use"), KINDS, ids=[row[0] for row in KINDS])
def test_info_names_the_kind_and_what_to_do_with_it(
    name: str, write: Callable[[Path], Any], kind: str, use: str, run: Shell
) -> None:
    write(Path(name))
    facts = json.loads(succeeded(run("info", name, "--json")))
    assert facts["kind"].startswith(kind)
    assert use in facts["use"]
    lines = succeeded(run("info", name)).splitlines()
    assert lines[0].split(maxsplit=1) == ["kind", facts["kind"]]


def test_info_knows_what_a_projection_leaves(run: Shell, network: Path, photo: Path) -> None:
    succeeded(run("project", photo, "--network", network, "--space", "W", *QUICK, "--out", "."))
    kinds = {
        path.suffix: json.loads(run("info", path, "--json").out)["kind"]
        for path in Path(".").glob("face.*")
    }
    assert kinds == {".pt": "latent", ".png": "picture", ".json": "report"}


def test_info_shows_every_part_of_a_latent_and_counts_all_values(run: Shell) -> None:
    generator = small_generator()
    latent = generator.convert(generator.sample(0), "FNW5")
    companion = Companion(torch.zeros(1, generator.num_ws, generator.w_dim))
    latent = latent.replace(companion=companion)
    latent.replace(companion=companion.replace(origin=latent.origin())).save("whole.pt")

    facts = json.loads(succeeded(run("info", "whole.pt", "--json")))
    whole = Latent.load("whole.pt")
    shown = [facts[name] for name in whole.parts()]
    assert {name for name in PARTS if name in facts} == {
        "styles",
        "features",
        "rgb",
        "noise",
        "companion",
        "origin",
    }
    shapes = [shape for part in shown for shape in (part if isinstance(part[0], list) else [part])]
    assert sum(int(np.prod(shape)) for shape in shapes) == facts["values"]


def test_text_of_a_file_cannot_move_the_cursor(run: Shell) -> None:
    small_generator().sample(0).replace(
        metadata={"generator": "\x1b[2J", "no\nte": "x" * 9999}
    ).save("a.pt")
    out = succeeded(run("info", "a.pt"))
    assert "\x1b" not in out
    assert "no\\nte" in out
    assert max(map(len, out.splitlines())) < 600


@pytest.mark.parametrize(
    ("file", "arguments", "what"),
    [
        (
            "d.safetensors",
            ["render", "FILE"],
            "this is a direction; `invert edit LATENT --direction d.safetensors`",
        ),
        ("face.png", ["render", "FILE"], "this is a picture; `invert project face.png`"),
        (
            "w.npz",
            ["render", "FILE"],
            "this is a latent of another project; `invert import-latent w.npz",
        ),
        (
            "w.npy",
            ["edit", "FILE", "--direction", "smile"],
            "`invert import-latent w.npy --network NETWORK`",
        ),
        ("r.pt", ["render", "FILE"], "`invert import-latent r.pt"),
        (
            "a.pt",
            ["generate", "--network", "FILE"],
            "expected the checkpoint of a generator, this is a latent",
        ),
        ("d.safetensors", ["generate", "--network", "FILE"], "this is a direction"),
        # where its own output lies
        ("seed0000.pt", ["generate", "--network", "FILE"], "this is a latent"),
        (
            "e.safetensors",
            ["generate", "--network", "FILE"],
            "this is an encoder; `invert project PHOTO --encoder",
        ),
        ("face.png", ["generate", "--network", "FILE"], "this is a picture"),
        (
            "gan.pt",
            ["generate", "--network", "FILE"],
            "this is a training state of a generator; `invert train gan --resume`",
        ),
        ("a.pt", ["directions", "show", "./FILE"], "not a direction of invert, this is a latent"),
        ("m.safetensors", ["directions", "show", "FILE"], "this is an attribute model"),
        ("e.safetensors", ["directions", "import", "FILE", "--name", "x"], "this is an encoder"),
        ("a.pt", ["project", "FILE"], "this is a latent; `invert edit a.pt"),
        ("d.safetensors", ["project", "FILE"], "this is a direction"),
    ],
)
def test_a_file_in_the_wrong_place_is_told_where_it_belongs(
    file: str, arguments: list[str], what: str, run: Shell, network: Path
) -> None:
    kind = "a.pt" if file == "seed0000.pt" else file
    next(write for name, write, *_ in KINDS if name == kind)(Path(file))
    needs_network = arguments[0] in ("project", "directions") and arguments[1] != "show"
    command = [part.replace("FILE", file) for part in arguments] + [
        "--network",
        str(network),
    ] * needs_network
    result = run(*command)
    assert result.code in (2, 3, 4)
    assert what in one_line(result)


def test_an_encoder_and_a_model_that_are_something_else(
    run: Shell, network: Path, photo: Path
) -> None:
    succeeded(run("generate", "--network", network, "--seeds", "0", "--space", "FNW5"))
    write_direction(Path("d.safetensors"))
    result = run("project", photo, "--network", network, "--encoder", "d.safetensors", *QUICK)
    assert "this is a direction; `invert edit" in one_line(result)
    edit = ["edit", "seed0000.pt", "--network", network, "--direction", "d.safetensors"]
    assert "this is a latent" in one_line(run(*edit, "--features", "seed0000.pt"))


def test_a_cut_off_file_keeps_the_error_of_its_reader(run: Shell) -> None:
    write_direction(Path("d.safetensors"))
    Path("d.safetensors").write_bytes(Path("d.safetensors").read_bytes()[:-8])
    refused(run("render", "d.safetensors"), 4, "damaged")
    with pytest.raises(Exception, match="damaged"):
        load_safetensors(Path("d.safetensors").read_bytes())


@pytest.mark.parametrize("row", KINDS, ids=[row[0] for row in KINDS])
def test_damage_raises_nothing_but_our_own_errors(
    row: tuple[str, Callable[[Path], Any], str, str], tmp_path: Path
) -> None:
    path = tmp_path / row[0]
    row[1](path)
    data = path.read_bytes()
    random = np.random.RandomState(0)
    for k in range(12):
        damaged = bytearray(data[: random.randint(1, len(data))] if k % 3 == 0 else data)
        for _ in range(3):
            damaged[random.randint(min(len(damaged), 400))] = random.randint(256)
        path.write_bytes(damaged)
        with contextlib.suppress(InvertError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            json.dumps(describe(path))
