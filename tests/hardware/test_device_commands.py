"""Every command on the simulated device: it says so once, and its pictures are those of the CPU."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from networks import small_checkpoint, small_map_checkpoint
from PIL import Image
from searches import short_searches
from shell import Result, Shell, make_photo, pixels, refused, succeeded
from simulated_device import DEVICE, simulated_device
from small_inception import write_inception
from small_vgg import put_small_vgg

import cli
from directions.direction import Direction, unit
from directions.direction_files import load_direction, save_direction
from edits.attributes.files import save_attribute_model
from edits.attributes.training import AttributeSettings, train_attribute_model
from invert.checkpoints import write_checkpoint
from invert.encoders.encoder import new_encoder
from invert.encoders.encoder_files import save_encoder
from invert.loading import generator_from_checkpoint
from invert.weights import cached

READING = "--background black --max-pixels 9999 --allow-truncated --frame 0"
NET, CLASSES = "--network net.safetensors", "--network classes.safetensors"
EARTH = "--network earth.safetensors"
# Weights that are a download: used where they are.
HERE = all(cached(name) for name in ("st-lpips-alex", "st-lpips-vgg"))
DISTANCE = "--perceptual " + ("st-lpips-alex" if HERE else "none")

PROJECT = "project face.png --perceptual none --steps 2 --init-steps 1"

# Command lines by a name; each runs in a folder of its own with the files of `prepare`.
LINES = {
    "generate": f"generate {NET} --seeds 0-1 --psi 0.5 --space FNW5 --noise none --out made",
    "generate a class": f"generate {CLASSES} --class 1",
    "generate a plane": f"generate {EARTH} --size 80x24",
    "generate styles": f"generate {EARTH} --size 40x24 --style-every 16",
    "generate a way": f"generate {EARTH} --pan 9,0 --frames 2 --fps 5 --animation gif",
    "import-latent": f"import-latent points.npz --key w --index 0 --rows-are-points -o i.pt {NET}",
    "export-latent": f"export-latent w.pt --format pti -o w.pti.pt {NET}",
    "convert": f"convert a.pt --space FNSW5 -o c.pt {NET}",
    "convert by force": f"convert other.pt --space FNW5 -o c.safetensors --force {NET}",
    "render": f"render a.pt z.pt {NET}",
    "render noise": f"render w.pt -o r.png --noise random --seed 3 --force {NET}",
    "render into": f"render a.pt --into face.png -o whole.png {READING} {NET}",
    "render in tiles": f"render a.pt -o tiled.png --tiled {NET}",
    "edit": f"edit a.pt --direction tilt.safetensors --strength 2 -o e.png {NET}",
    "edit by difference": f"edit a.pt --direction tilt.safetensors --features difference {NET}",
    "edit styles": f"edit a.pt --direction tilt.safetensors --features keep --styles 2-7 {NET}",
    "edit twice": f"edit w.pt --direction tilt.safetensors --direction pose.safetensors {NET}",
    "edit under a mask": f"edit a.pt --direction tilt.safetensors --mask mask.png {NET}",
    "strip": f"edit a.pt --direction tilt.safetensors --strip -1:1:3 {NET}",
    "mix": f"mix a.pt b.pt --mask mask.png --keep-styles 2 --shift 2,0 --feather 4 -o m.pt {NET}",
    "mix by force": f"mix other.pt w.pt --mask mask.png --force -o m.pt {NET}",
    "canvas": f"canvas a.pt b.pt --at 0,0 --at 48,8 --crop whole --crop 8,0,48,56 {NET}",
    "canvas of a size": f"canvas a.pt --size 96,72 --feather 6 -o c.png {NET}",
    "style-mix": f"style-mix a.pt b.pt --styles coarse -o s.png {NET}",
    "style-mix a matrix": f"style-mix 1-2 w.pt --matrix 3,w.pt --styles 2-9 --psi 0.5 {NET}",
    "style-mix a class": f"style-mix 1 2 --styles fine --class 1 {CLASSES}",
    "style-mix samples": f"style-mix w.pt --sample 0-1 --styles middle {NET}",
    "interpolate": f"interpolate a.pt b.pt --frames 3 --fps 5 -o i.gif {NET}",
    "interpolate a mask": f"interpolate 1 w.pt --frames 3 --travel left --psi 1 -o i.webp {NET}",
    "interpolate a class": f"interpolate 1 2 --frames 2 --class 2 -o i.gif {CLASSES}",
    "combine": f"combine a.pt + b.pt - 3 --psi 0.5 -o d.png {NET}",
    "combine classes": f"combine 1 + 2 - 3 --class 0 {CLASSES}",
    "equalize": f"equalize a.pt --amount 0.5 --part styles --part features {NET}",
    "equalize to": f"equalize w.pt --amount 1 -o q.png {NET}",
    "stats": f"stats a.pt -o h.png --json {NET}",
    "directions learn": f"directions learn scores.csv --name x --kind linear --psi 0.9 --seed 1 "
    f"--against tilt.safetensors --styles 0-3 --meaning more -o x.safetensors {NET}",
    "directions exemplars": f"directions exemplars --positive 1,a.pt --negative 2-3 --name y "
    f"--styles coarse --meaning more --psi 0.7 -o y.safetensors {NET}",
    "directions pca": f"directions pca --count 2 --samples 100 --styles 0-3 -o pca {NET}",
    "directions sefa": f"directions sefa --count 2 --styles 0-3 -o sefa {NET}",
    "directions import": f"directions import set.npz --key comp --index 0 --sign -1 --check "
    f"--name z --styles 0-3 --meaning more -o z.safetensors {NET}",
    "directions measure": "directions measure pose.safetensors --held-out scores.csv "
    f"--json --psi 1 {NET}",
}

# What optimizes: not compared with the CPU, as rounding grows from step to step. F_9 is too large
# for
# a companion, whose search takes long here.
OPTIMIZING = {
    **{f"project {space}": f"{PROJECT} --space {space} {NET}" for space in ("W", "NW+", "SW+")},
    "project FNSW9": f"{PROJECT} --space FNSW9 --half --seed 1 --lr 0.1 {NET}",
    "project FNW3": f"{PROJECT} --space FNW3 --dist-weight 0.1 --save-progress gif "
    f"--json --out p {NET}",
    "project as it is": f"{PROJECT.replace('face', 'wide')} --space FNW9 --keep-size "
    f"--init mean {NET}",
    "project a part": f"{PROJECT} --crop 0,0,40 --preset thesis --space FNW9 {READING} {NET}",
    "project a batch": f"project face.png wide.png --perceptual none --steps 2 --space W+ "
    f"--batch 2 {NET}",
    "project from an encoder": f"{PROJECT} --encoder encoder.safetensors --steps 0 {NET}",
    "project from a latent": f"{PROJECT} --space FNW9 --init a.pt {NET} {DISTANCE}",
    "find companions": f"edit canvas.pt --direction tilt.safetensors --features residual {NET}",
    "train encoder": f"train encoder --layer 5 --hours 1 --steps 1 --batch 2 --warped 1 --lr 1e-3 "
    f"--half --image-batch 1 --image-every 1 --image-size 32 {DISTANCE} --seed 1 --held-out 4 "
    f"--init encoder.safetensors -o t.safetensors --json {NET}",
    "train a refinement": f"train encoder --minutes 5 --steps 1 --batch 1 --refinement 2 "
    f"--warmup 1 --image-weight 1 --previews {DISTANCE} --held-out 1 --init encoder.safetensors "
    f"-o refining.safetensors {NET}",
    "train gan": "train gan --data face.png --size 16 --min-detail 1 --max-blue 0.9 --mirror "
    "--turn --space FNZ3 --latent normal --channel-base 64 --channel-max 8 --steps 2 --batch 4 "
    "--minutes 9 --lr 1e-3 --gamma 1 --ada-target 0.5 --seed 1 --half --snapshot 9 --measure 0 "
    "-o g.safetensors --json",
    "train gan for a time": "train gan --data face.png --size 8 --channel-max 4 --batch 2 "
    "--hours 0.000001 -o g.safetensors",
    "train attribute": f"train attribute --direction tilt.safetensors --layer 5 --samples 8 "
    f"--steps 1 --seed 1 {DISTANCE} --perceptual-steps {HERE:d} -o m.safetensors --json {NET}",
}

# What prints a number, which is compared with the CPU's.
SETS = f"--size 40 --count 3 --seed 1 --max-pixels 9999 --batch 2 {CLASSES} --seeds 0-1 --psi 0.5"
MEASURING = {
    "fd-vgg16": f"measure fd-vgg16 face.png {SETS} --class 1 --noise const "
    "--keep-a a.safetensors --keep-b b.safetensors --json",
    "ppl": f"measure ppl --seeds 0-1 --space Z --sampling full --epsilon 0.1 --crop --class 1 "
    f"--noise const --batch 1 --json {CLASSES}",
    "resolutions": f"measure resolutions --seeds 0-1 --psi 0.5 --class 1 --noise none --batch 1 "
    f"--json {CLASSES}",
    "jacobian": f"measure jacobian --seeds 0 --rank 1 --psi 0.5 --class 1 --noise const --json "
    f"{CLASSES}",
}

INCEPTION = {
    "fid": f"measure fid face.png {SETS} --class 1 --noise const --inception inception.pth --json",
    "kid": f"measure kid face.png {SETS} --class 1 --noise const --inception inception.pth --json "
    "--subsets 3 --subset-size 2 --subset-seed 1",
    "precision-recall": f"measure precision-recall face.png {SETS} --class 1 --noise const "
    "--inception inception.pth --json --neighbours 1",
}

# Options that no line above has, and why not.
EXCUSED = {
    "--overwrite": "about files that are there",
    "--force": "about fingerprints; three lines have it",
    "--face": "the detector's weights are a download; it computes on the CPU",
    "--lpips-weights": "the weights are a download",
    "--backbone": "its weights are a download",
    "--resume": "test_device_library resumes",
    "--start": "test_gan_training branches off a run",
}


@pytest.fixture(scope="module", autouse=True)
def device() -> Iterator[None]:
    with simulated_device(float64=False), short_searches():
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the lines name."""
    folder = tmp_path_factory.mktemp("prepared")
    for name, c_dim in (("net", 0), ("classes", 3)):
        write_checkpoint(folder / f"{name}.safetensors", small_checkpoint(c_dim=c_dim))
    write_checkpoint(folder / "earth.safetensors", small_map_checkpoint())
    make_photo(folder / "face.png")
    make_photo(folder / "wide.png", (132, 64))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (10, 20, 40, 50))
    mask.save(folder / "mask.png")
    (folder / "scores.csv").write_text("".join(f"{k},{k * k % 7}\n" for k in range(30)))

    # Latents, on the CPU.
    generator = generator_from_checkpoint(small_checkpoint(), name="small")
    facts = {"image": {"file": "face.png", "size": [80, 64], "crop": [8, 0, 64]}}
    a, b = (generator.sample(seed, psi=0.7, space="FNW5") for seed in (0, 1))
    a.replace(metadata={**a.metadata, **facts}).save(folder / "a.pt")
    b.save(folder / "b.pt")
    a.replace(companion=None).save(folder / "bare.pt")
    generator.sample(0).save(folder / "w.pt")
    generator.sample(0, space="Z").save(folder / "z.pt")
    a.replace(fingerprint="0" * 64).save(folder / "other.pt")
    wide = {"features": torch.cat([a.features, b.features], 3)}
    wide["rgb"] = torch.cat([a.rgb, b.rgb], 3)
    noise = tuple(n.repeat(1, 1, 1, 2) for n in a.noise or ())
    a.replace(**wide, noise=noise, companion=None).save(folder / "canvas.pt")

    # Directions and an encoder.
    random = torch.Generator().manual_seed(3)
    for name in ("tilt", "pose"):
        direction = Direction(name, unit(torch.randn(32, generator=random)), 0.5)
        save_direction(direction, folder / f"{name}.safetensors")
    ws = generator.sample(range(99)).styles
    assert isinstance(ws, torch.Tensor)
    np.savez(folder / "points.npz", w=ws[:3].numpy())
    leading = torch.linalg.eigh(ws.T.cov()).eigenvectors
    np.savez(folder / "set.npz", comp=leading.flip(1).T.numpy())
    save_encoder(new_encoder(generator, 5), folder / "encoder.safetensors", {})
    return folder


Runner = Callable[[str, str], Result]


@pytest.fixture
def run_in(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Runner:
    """Runs a line on a device, in a copy of the prepared folder that has the device's name."""

    def run(line: str, device: str) -> Result:
        folder = shutil.copytree(prepared, tmp_path / device)
        return Shell(folder, monkeypatch, capfd)(*shlex.split(line), "--device", device)

    return run


@pytest.mark.parametrize("name", LINES)
def test_a_command_makes_what_it_makes_on_the_cpu(
    name: str,
    run_in: Runner,
    tmp_path: Path,
) -> None:
    there, here = run_in(LINES[name], "sim"), run_in(LINES[name], "cpu")
    assert succeeded(there).splitlines()[:1] == succeeded(here).splitlines()[:1]
    assert there.err.splitlines().count("device: sim:0 (simulated)") == 1
    assert here.err.splitlines().count("device: cpu") == 1

    pictures = [path.relative_to(tmp_path / "sim") for path in (tmp_path / "sim").rglob("*.png")]
    for path in pictures:
        difference = np.abs(pixels(tmp_path / "sim" / path) - pixels(tmp_path / "cpu" / path))
        assert difference.max() <= 1, path


@pytest.mark.parametrize("name", OPTIMIZING)
def test_a_command_that_optimizes_runs_on_the_device(name: str, run_in: Runner) -> None:
    result = run_in(OPTIMIZING[name], "sim")
    succeeded(result)
    assert result.err.splitlines().count("device: sim:0 (simulated)") == 1


def test_a_trained_model_carries_an_edit_on_the_device(run_in: Runner, prepared: Path) -> None:
    generator = generator_from_checkpoint(small_checkpoint(), name="small")
    tilt = load_direction(prepared / "tilt.safetensors")
    quick = AttributeSettings(samples=8, held_out=2, steps=0, rank=4)
    model = train_attribute_model(generator, tilt, 5, settings=quick)
    save_attribute_model(model, prepared / "model.safetensors")
    edit = "edit bare.pt --direction tilt.safetensors --strength 1 --features model.safetensors"
    succeeded(run_in(f"{edit} {NET}", "sim"))


@pytest.mark.parametrize("name", MEASURING)
def test_a_command_measures_what_it_measures_on_the_cpu(
    name: str, run_in: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_small_vgg(tmp_path / "cache", monkeypatch)
    there, here = run_in(MEASURING[name], "sim"), run_in(MEASURING[name], "cpu")
    assert there.err.splitlines().count("device: sim:0 (simulated)") == 1
    for a, b in zip(*(numbers_in(succeeded(result)) for result in (there, here)), strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    "name",
    ["precision-recall", *(pytest.param(n, marks=pytest.mark.slow) for n in ("fid", "kid"))],
)
def test_inception_measures_what_it_measures_on_the_cpu(
    name: str, run_in: Runner, prepared: Path
) -> None:
    if not (prepared / "inception.pth").exists():
        write_inception(prepared / "inception.pth")
    there, here = run_in(INCEPTION[name], "sim"), run_in(INCEPTION[name], "cpu")
    assert there.err.splitlines().count("device: sim:0 (simulated)") == 1
    for a, b in zip(*(numbers_in(succeeded(result)) for result in (there, here)), strict=True):
        assert a == pytest.approx(b, rel=1e-2, abs=1e-3)


def numbers_in(printed: str) -> list[float]:
    """The numbers in JSON, in order."""
    numbers: list[float] = []
    json.loads(printed, parse_float=lambda text: numbers.append(float(text)))
    return numbers


def walk(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that can be called, with its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from walk(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def test_every_option_of_every_command_with_a_device_ran_on_it() -> None:
    lines = [*LINES.values(), *OPTIMIZING.values(), *MEASURING.values(), *INCEPTION.values()]
    for words, command in walk(cli.cli):
        options = {o.opts[-1]: o.opts for o in command.params if isinstance(o, click.Option)}
        if "--device" not in options:
            continue
        mine = [shlex.split(line) for line in lines if f"{line} ".startswith(f"{words} ")]
        assert mine, f"{words} has no line above"
        used = {word for line in mine for word in line}
        missing = {name for name, spellings in options.items() if not used & set(spellings)}
        assert missing - {"--device"} - EXCUSED.keys() == set(), words


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("simulated", "unknown device 'simulated'; known: auto, cpu, cuda, cuda:N, mps"),
        ("meta", "unknown device 'meta'"),
        ("cuda:-1", "unknown device 'cuda:-1'"),
        ("cpu:3", "device cpu:3 is not here, the last one is cpu:0; use --device cpu:0"),
        ("sim:1", "the last one is sim:0"),
    ],
)
def test_a_device_that_is_not_here_is_refused(name: str, reason: str, run_in: Runner) -> None:
    refused(run_in(LINES["generate"], name), 2, reason)


def test_a_device_that_went_away_is_refused(
    run_in: Runner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DEVICE, "present", False)
    reason = "device sim is not available here; use --device cpu"
    refused(run_in(LINES["generate"], "sim"), 2, reason)


def test_a_command_of_two_networks_says_it_once(run_in: Runner, prepared: Path) -> None:
    other = generator_from_checkpoint(small_checkpoint(seed=1), name="other")
    write_checkpoint(prepared / "second.safetensors", small_checkpoint(seed=1))
    other.sample(0).save(prepared / "second.pt")
    result = run_in("render a.pt second.pt", "sim")
    succeeded(result)
    assert result.err.count("device: sim:0 (simulated)") == 1
