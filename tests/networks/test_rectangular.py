"""Generators whose images are no squares do all that square ones do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import small_checkpoint, small_generator, small_mobile_tensors
from PIL import Image
from shell import QUICK, Shell, make_photo, one_line, pixels, succeeded
from torch import Tensor

from directions.direction import Direction, unit
from directions.direction_files import save_direction
from edits.along_direction import edit
from edits.attributes.training import AttributeSettings, train_attribute_model
from edits.canvas import Placement, crop, place, shift
from edits.equalization import equalize
from edits.mixer import mix
from edits.style_mixing import combine, interpolate, style_mix
from invert.checkpoints import Checkpoint, write_checkpoint
from invert.encoders.encoder import new_encoder
from invert.encoders.training import EncoderSettings, EncoderTraining
from invert.errors import LatentError, ModelFileError, UsageError
from invert.generator import Generator
from invert.images.images import to_pil, to_tensor
from invert.images.pasting import paste
from invert.latents.latent import Latent
from invert.latents.layer_ranges import named_ranges
from invert.latents.spaces import Space
from invert.loading import generator_from_checkpoint
from invert.projection.companion import with_companion
from invert.projection.framing import Framing, load_target
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

TALL = small_generator(start=(4, 2))  # 32×64 px (width × height), as in StyleGAN-Human
WIDE = small_generator(32, start=(4, 6))  # 48×32 px, as forks with another `init_res` have them
GENERATORS = {"tall": TALL, "wide": WIDE}
PLAIN = ProjectionSettings(
    steps=2, init_steps=2, warmup=1, perceptual="none", mse_weight=1.0, noise_weight=1e3
)


@pytest.fixture(params=list(GENERATORS))
def generator(request: pytest.FixtureRequest) -> Generator:
    return GENERATORS[request.param]


def tilt(generator: Generator) -> Direction:
    return Direction(
        "tilt",
        unit(torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(3))),
        sigma=0.5,
    )


def half_mask(generator: Generator) -> Tensor:
    mask = torch.zeros(1, 1, *generator.image_size)
    mask[..., : generator.image_size[1] // 2] = 1
    return mask


# -- geometry


def test_sizes_are_doubles_of_the_constant() -> None:
    assert (TALL.image_size, TALL.resolution, TALL.num_ws) == ((64, 32), 64, 10)
    assert (WIDE.image_size, WIDE.resolution, WIDE.num_ws) == ((32, 48), 48, 8)
    assert (WIDE.layer(5).cells, WIDE.layer(5).rgb_cells, WIDE.layer(5).noise_cells) == (
        (16, 24),
        (8, 12),
        (16, 24),
    )
    assert (WIDE.cell("FW5"), WIDE.step("FW5"), WIDE.cell("FW4"), WIDE.step("FW4")) == (2, 4, 4, 4)
    assert WIDE.shapes("FNW5", (8, 10)).image == (16, 20)
    # coarse, middle and fine go by the layer, whatever the longer side
    for rectangular, square in ((TALL, small_generator()), (WIDE, small_generator(32))):
        assert named_ranges(rectangular.network) == named_ranges(square.network)
        assert rectangular.render(rectangular.sample(0)).shape[2:] == rectangular.image_size


def test_images_are_those_of_a_square_generator_on_a_canvas() -> None:
    """The same weights, started from the rectangular constant as FNW_1, make the same picture."""
    tensors = dict(small_checkpoint(start=(4, 2)).tensors)
    for name, t in tensors.items():
        if name.endswith(("b4.const", "noise_const")):
            tensors[name] = torch.cat([t, t], -1)
    square = generator_from_checkpoint(
        Checkpoint("stylegan2", "invert", small_checkpoint().config, tensors, {})
    )
    x = TALL.sample(0, space="FNW1")
    assert square.image_size == (64, 64)
    assert torch.equal(square.render(square.adopt(x)), TALL.render(TALL.sample(0)))


def test_a_mobile_network_may_be_rectangular() -> None:
    def stretched(name: str, t: Tensor) -> Tensor:
        return torch.cat([t, t], -1) if name.endswith(("const", "noise_const")) else t

    tensors = {name: stretched(name, t) for name, t in small_mobile_tensors().items()}
    generator = generator_from_checkpoint(Checkpoint("mobile-stylegan", "invert", {}, tensors, {}))
    assert generator.image_size == (64, 128)
    assert generator.render(generator.sample(0, space="FNW5")).shape == (1, 3, 64, 128)


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("synthesis.b4.const", (32, 5, 5), "expected 4×4 cells, or a rectangle"),
        ("synthesis.b4.const", (32, 4, 0), "expected 4×4 cells, or a rectangle"),
        ("synthesis.b4.const", (32, 4, 500), "expected 4×4 cells, or a rectangle"),
        ("synthesis.b4.const", (32, 4), "synthesis.b4.const: expected"),
        (
            "synthesis.b4.const",
            (32, 4, 3),
            r"synthesis.b4.const: expected \[32, 4, 2\], found \[32, 4, 3\]",
        ),
        ("synthesis.b8.conv0.noise_const", (4, 8), r"expected \[8, 4\], found \[4, 8\]"),
        ("synthesis.b16.conv1.noise_const", (16, 16), r"expected \[16, 8\], found \[16, 16\]"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(
    name: str, shape: tuple[int, ...], reason: str
) -> None:
    checkpoint = small_checkpoint(start=(4, 2))
    tensors = {**checkpoint.tensors, name: torch.zeros(shape)}
    with pytest.raises(ModelFileError, match=reason):
        generator_from_checkpoint(Checkpoint("stylegan2", "invert", checkpoint.config, tensors, {}))


# -- spaces


def test_every_space_keeps_the_image_and_is_read_as_it_was_written(
    generator: Generator, tmp_path: Path
) -> None:
    reference = generator.render(generator.sample(1))
    layers = range(1, generator.num_ws + 1)
    names = ["W", "NW", "W+", "NW+", "SW+", "NSW+", "Z", "NZ"]
    for name in names + [
        f"{kind}{i}" for kind in ("FW", "FNW", "FSW", "FNSW", "FNZ") for i in layers
    ]:
        latent = generator.sample(1, space=name)
        latent.save(tmp_path / "x.pt")
        image = generator.render(Latent.load(tmp_path / "x.pt"))
        assert torch.equal(image, generator.render(latent)), name
        assert (image - reference).abs().max() < 1e-4, name


@pytest.mark.parametrize("space", ["W", "W+", "NW+", "SW+", "FNW3", "FNSW3"])
def test_a_projection_has_the_generators_shape(generator: Generator, space: str) -> None:
    image = generator.render(generator.sample(5, psi=0.7))
    result = project(generator, image, space, settings=PLAIN.replace(crop_weight=0.0))
    assert result.image.shape == image.shape
    assert torch.equal(result.image, generator.render(result.latent))
    with pytest.raises(UsageError, match="holds images of"):
        project(generator, image.transpose(2, 3), "W+", settings=PLAIN)


# -- photographs


def test_a_photograph_is_cut_to_the_generators_shape(generator: Generator, tmp_path: Path) -> None:
    height, width = generator.image_size
    photo = make_photo(tmp_path / "photo.png", (200, 150))
    image, facts = load_target(generator, Space.parse("W+"), photo, Framing())
    assert image.shape[2:] == (height, width)
    x, y, w, h = facts["crop"]
    assert (x + w / 2, y + h / 2) == pytest.approx((100, 75))
    assert w / h == pytest.approx(width / height)
    assert w == pytest.approx(200) or h == pytest.approx(150)
    _, facts = load_target(generator, Space.parse("W+"), photo, Framing(crop=(10, 5, 40)))
    assert facts["crop"] == [10, 5, 40, 40 * height / width]
    with pytest.raises(UsageError, match="a face is cut as a square"):
        load_target(generator, Space.parse("W+"), photo, Framing(crop="face"))
    wide, _ = load_target(generator, Space.parse("FNW3"), photo, Framing(keep_size=True))
    step = generator.step("FNW3")
    assert wide.shape[2:] == (150 // step * step, 200 // step * step)


def test_a_picture_goes_back_to_where_it_was_cut(generator: Generator) -> None:
    height, width = generator.image_size
    photograph = Image.new("RGB", (160, 120), "white")
    facts = {"size": [160, 120], "crop": [20, 10, width, height]}
    pasted = to_tensor(
        paste(photograph, to_tensor(Image.new("RGB", (width, height), "black")), facts, feather=0.0)
    )
    box = pasted[:, :, 10 : 10 + height, 20 : 20 + width]
    assert (box < -0.9).all()
    assert (pasted < 0.9).sum() == box.numel()
    assert to_pil(pasted)[0].size == (160, 120)


# -- edits


def test_edits_keep_the_shape(generator: Generator) -> None:
    a, b = (generator.sample(seed, space="FNW3") for seed in (0, 1))
    assert (
        generator.render(edit(generator, a, tilt(generator), 2.0)).shape[2:] == generator.image_size
    )
    assert (
        generator.render(edit(generator, a, tilt(generator), 2.0, mask=half_mask(generator)))
        .isfinite()
        .all()
    )
    mixed = mix(generator, a, b, half_mask(generator), feather=4)
    left, right = generator.render(mixed).chunk(2, 3)
    assert (left - generator.render(b).chunk(2, 3)[0]).abs().mean() < (left - right).abs().mean()
    flat = [generator.sample(seed) for seed in (0, 1, 2)]
    for result in (
        style_mix(generator, flat[0], flat[1], "middle"),
        interpolate(generator, flat[0], flat[1], 0.5),
        combine(generator, *flat),
        equalize(generator, a, 0.5),
    ):
        assert generator.render(result).shape[2:] == generator.image_size


def test_canvases_are_laid_in_cells(generator: Generator) -> None:
    a, b = (generator.sample(seed, space="FNW3") for seed in (0, 1))
    h, w = generator.layer(3).cells
    both = place(generator, (2 * w, h), [Placement(a), Placement(b, (w, 0))], feather=0)
    height, width = generator.image_size
    assert generator.render(both).shape[2:] == (height, 2 * width)
    cut = crop(both, (w, 0, w, h))
    assert cut.features is not None
    assert b.features is not None
    assert torch.equal(cut.features, b.features)
    assert generator.render(shift(a, (2, -2))).shape[2:] == (height, width)
    edited = edit(generator, with_companion(generator, a), tilt(generator), 1.0)
    assert edited.companion is not None


def test_a_canvas_beyond_the_limit_of_pixels_is_refused(generator: Generator) -> None:
    a = generator.sample(0, space="FNW3")
    with pytest.raises(LatentError, match="the limit is 64 Mpx"):
        place(generator, (4000, 4000), [Placement(a)])
    with pytest.raises(LatentError, match="the limit is 64 Mpx"):
        generator.shapes("FNW3", (10**6, 10**6))


# -- training


def test_an_encoder_is_trained_and_used() -> None:
    settings = EncoderSettings(batch=2, held_out=2, warmup=1, perceptual=())
    training = EncoderTraining(TALL, 5, settings, [])
    training.run(steps=1, seconds=None, callback=lambda step: None, test_every=1)
    image = TALL.render(TALL.sample(0))
    latent = training.result.encode(TALL, image)
    assert TALL.render(latent).shape == image.shape
    latent = new_encoder(WIDE, 5).eval().encode(WIDE, WIDE.render(WIDE.sample(0)))
    assert WIDE.render(latent).shape[2:] == WIDE.image_size
    with pytest.raises(
        UsageError,
        match="layer 8 has 48×32 cells, expected 1/2 to 1/32 of the encoder's 32 px input",
    ):
        new_encoder(WIDE, 8)


def test_an_attribute_model_is_trained_and_used() -> None:
    settings = AttributeSettings(samples=8, held_out=4, steps=1, rank=4)
    model = train_attribute_model(WIDE, tilt(WIDE), 5, settings=settings)
    latent = edit(WIDE, WIDE.sample(0, space="FNW5"), tilt(WIDE), 1.0, features=model)
    assert WIDE.render(latent).shape[2:] == WIDE.image_size


# -- commands


def test_the_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Shell(tmp_path, monkeypatch, capfd)
    net = ["--network", "wide.safetensors"]
    write_checkpoint(tmp_path / net[1], small_checkpoint(32, start=(4, 6)))
    save_direction(tilt(WIDE), tmp_path / "tilt.safetensors")
    make_photo(tmp_path / "photo.jpg", (120, 90))
    Image.new("L", (48, 32), 255).save(tmp_path / "mask.png")
    assert "48" in succeeded(run("info", net[1]))
    succeeded(run("generate", *net, "--seeds", "0-1", "--space", "FNW3"))
    succeeded(run("project", "photo.jpg", *net, "--space", "FNW3", *QUICK))
    succeeded(run("render", "photo.pt", *net, "--into", "photo.jpg", "-o", "back.png"))
    assert pixels("photo.png").shape == (32, 48, 3)
    assert pixels("back.png").shape == (90, 120, 3)
    succeeded(run("mix", "photo.pt", "seed0000.pt", *net, "--mask", "mask.png", "-o", "mixed.png"))
    succeeded(run("canvas", "photo.pt", "seed0000.pt", *net, "-o", "canvas.png"))
    assert pixels("canvas.png").shape == (32, 96, 3)
    succeeded(
        run(
            "edit",
            "photo.pt",
            *net,
            "--direction",
            "tilt.safetensors",
            "--strength",
            "1",
            "-o",
            "edited.png",
        )
    )
    succeeded(
        run("style-mix", "seed0000.pt", "seed0001.pt", *net, "--styles", "6-7", "-o", "styles.png")
    )
    succeeded(run("equalize", "photo.pt", *net, "--amount", "0.5", "-o", "equal.png"))
    assert "a face is cut as a square" in one_line(
        run("project", "photo.jpg", *net, "--crop", "face", *QUICK)
    )


def test_a_crop_is_taken_from_the_metadata_of_a_latent(generator: Generator) -> None:
    picture = Image.effect_noise((200, 160), 60).convert("RGB")
    space = Space.parse("W")
    height, width = generator.image_size
    image, facts = load_target(generator, space, picture, Framing(crop=(20, 10, 1.5 * width)))
    assert len(facts["crop"]) == 4
    again, same = load_target(generator, space, picture, Framing(crop=facts["crop"]))
    assert torch.equal(again, image)
    assert same == facts
    with pytest.raises(UsageError, match="would be squeezed"):
        load_target(generator, space, picture, Framing(crop=(20, 10, width, height + 8)))
