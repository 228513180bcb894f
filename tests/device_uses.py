"""Uses of the library on any device, given what a user has on the CPU.

What a use returns lies on the device, and is what the CPU makes; `test_device_library` compares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from device_world import SPACES, World, seeded
from shell import make_photo
from small_vgg import HEADS, small_features, small_vgg_tensors
from torch import Tensor

import invert
import invert.latents.statistics
from directions import diagnostics
from directions.direction import Direction, unit
from directions.direction_files import save_direction
from directions.exemplars import from_exemplars
from directions.pca import principal_directions
from directions.regression import learn
from directions.scored_samples import style_vectors
from directions.sefa import factorize
from directions.w_space import WSpace
from edits.along_direction import chain, edit, move
from edits.attributes.catalog import find_model
from edits.attributes.files import load_attribute_model, save_attribute_model
from edits.attributes.samples import PairSampler
from edits.attributes.training import AttributeSettings, train_attribute_model
from edits.canvas import crop, shift
from edits.equalization import equalize
from edits.feature_edit_names import FEATURE_EDITS
from edits.mixer import mix
from edits.plots import distribution_figure
from edits.style_mixing import combine, frames, interpolate, resample, style_mix
from invert.describe import describe_latent
from invert.encoders.batches import Batches
from invert.encoders.encoder import Encoder, new_encoder
from invert.encoders.encoder_files import load_encoder, save_encoder
from invert.encoders.rendering import Renderer
from invert.encoders.samples import Samples
from invert.encoders.settings import EncoderSettings
from invert.encoders.training_run import train_encoder
from invert.gan.settings import GanSettings
from invert.gan.training_run import train_gan
from invert.latents.companion import Companion
from invert.latents.foreign_latents import ENDINGS, ForeignPoint, encode_points, to_latent
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.loading import load_generator
from invert.metrics.backbones import vgg16_stages
from invert.metrics.distribution_distance import distribution_distances
from invert.metrics.generated import sample_facts, sampled
from invert.metrics.jacobian import jacobians
from invert.metrics.path_length import PathSettings, path_lengths
from invert.metrics.perceptual import PerceptualDistance
from invert.metrics.picture_sets import GeneratedPictures
from invert.metrics.reconstruction import projection_metrics, reconstruction_metrics
from invert.metrics.resolutions import resolution_shares
from invert.metrics.vgg16_features import vgg16_moments
from invert.networks.windows import Window
from invert.projection.companion import ensure_companion, later_styles, with_companion
from invert.projection.framing import Framing
from invert.projection.initialization import encoder_init
from invert.projection.optimization import Step
from invert.projection.outputs import OutputPaths
from invert.projection.project_file import ProjectionJob, project_file
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings, preset
from invert.tiling.placed_parts import plane_of_seed
from invert.tiling.tiles import render_window
from invert.weights import cached

USES: dict[str, Callable[[World], Any]] = {}
DEVICES_ONLY: set[str] = set()  # long sums of roundings: not compared in value


def use(function: Callable[[World], Any]) -> Callable[[World], Any]:
    USES[function.__name__] = function
    return function


def inexact(function: Callable[[World], Any]) -> Callable[[World], Any]:
    DEVICES_ONLY.add(function.__name__)
    return function


@use
def sample_and_render(w: World) -> Any:
    generator = w.generator
    images = [generator.render(w.latent(space)) for space in SPACES]
    images.append(generator.render(w.latent("W"), "random", seed=1))
    pair = Latent.cat([w.latent("FNW5"), w.latent("FNW5", 1)])
    images += [generator.render(pair), generator.preview(pair, 32, one_pass=True)]
    samples = [generator.sample([0, 1], psi=0.5, space=space) for space in ("W", "FNSW5")]
    labelled = w.conditional.sample(0, label=1, space="Z")
    return images, samples, labelled, w.conditional.render(labelled), w.mobile.sample(1)


@use
def a_latent_that_is_a_map(w: World) -> Any:
    generator = w.earth
    points = [generator.sample([0, 1], space=space) for space in ("W", "FNZ3", "FNW5")]
    points.append(generator.sample(0, space="FNW3", features=(6, 10)))
    plane = plane_of_seed(generator, 1)
    varied = plane_of_seed(generator, 1, style_every=16)
    parts = [
        render_window(generator.network, p, Window((-9, 20), (3, 40))) for p in (plane, varied)
    ]
    return points, [generator.render(point) for point in points], parts


@use
def convert_to_every_space(w: World) -> Any:
    same = [w.generator.convert(w.latent(space), space) for space in SPACES]
    opened = [w.generator.convert(w.latent("W"), space) for space in ("NW+", "SW+", "FNSW3")]
    return same, opened, w.generator.adopt(w.latent("W").to(w.device))


@use
def tensors_of_a_user(w: World) -> Any:
    generator = w.generator
    w_plus = generator.latent(torch.randn(1, 10, 32, generator=seeded(0)))
    z = torch.randn(2, 32, generator=seeded(0))
    label = torch.eye(3)[:2]
    facts = [generator.layer(5), generator.shapes("FNW5"), generator.check(w_plus)]
    facts += [generator.cell(Space.parse("FNW5")), generator.step(Space.parse("FNW5"))]
    return w_plus, generator.mapping(z), w.conditional.mapping(z, label), str(facts)


@use
def half_precision(w: World) -> Any:
    return w.generator.half().render(w.latent("FNW5"))


@use
def statistics(w: World) -> Any:
    facts = w.generator.statistics()
    values = w.generator.target_distribution("styles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invert.latents.statistics, "TARGET_SAMPLES", 64)
        patch.setattr(invert.latents.statistics, "LEAST_SAMPLES", 32)
        features = w.generator.target_distribution("features", 3, cache_dir=w.folder / "cache")
    return facts.w_mean, facts.w_factor, facts.w_std, values, features, w.conditional.w_avg


def quick(space: str, **changes: Any) -> ProjectionSettings:
    settings = preset("fast", Space.parse(space))
    settings = settings.replace(steps=2, init_steps=1, companion_steps=2, perceptual="none")
    return settings.replace(**changes)


@use
@inexact
def project_into_every_space(w: World) -> Any:
    for space in ("W", "NW+", "SW+", "FW5", "FNSW5"):
        result = project(w.generator, w.image, space, settings=quick(space))
        projection_metrics(w.generator, result.latent, result.image, w.image, [])
        yield result


@use
@inexact
def project_from_a_latent_and_the_mean(w: World) -> Any:
    settings = quick("FNW5", half=True, dist_weight=0.1, w_noise=0.05)
    yield project(w.generator, w.image, init=w.latent("FNW5"), settings=settings)
    yield project(w.generator, w.image[0], init="mean", settings=settings)
    wide = torch.cat([w.image, w.image], 3)
    yield project(w.generator, wide, settings=quick("FNW5", steps=0))


@use
@inexact
def project_with_a_perceptual_distance(w: World) -> Any:
    distance = tiny_distance().to(w.device)
    settings = quick("FNW5", perceptual="st-lpips-alex", crop_perceptual="tiny", crop_size=32)
    both = {"perceptual": distance, "crop_perceptual": distance}
    result = project(w.generator, w.image, settings=settings, **both)
    reconstruction_metrics(result.image, w.image, [distance])
    return result


@use
@inexact
def project_until_ctrl_c_in_the_first_stage(w: World) -> Any:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    return project(w.generator, w.image, "FNW5", settings=quick("FNW5"), callback=interrupt)


@use
@inexact
def project_with_distances_by_name(w: World) -> Any:
    if all(cached(name) for name in ("st-lpips-alex", "st-lpips-vgg")):  # a download elsewhere
        settings = quick("W", perceptual="st-lpips-alex", crop_size=32)
        return project(w.generator, w.image, "W", settings=settings)
    return None


def tiny_distance() -> PerceptualDistance:
    return PerceptualDistance("tiny", [torch.nn.Conv2d(3, 4, 3)], [torch.ones(4)])


@use
def distances_of_images(w: World) -> Any:
    distance = tiny_distance().to(w.device)
    torch.nn.init.ones_(distance.stages[0].weight)
    torch.nn.init.zeros_(distance.stages[0].bias)
    other = w.generator.render(w.latent("W"))
    measured = reconstruction_metrics(w.image, other, [distance])
    return distance(w.image, other), distance.embed(w.image), list(measured.values())


@use
@inexact
def project_a_file(w: World) -> Any:
    photograph = make_photo(w.folder / "photos" / "face.png")
    for framing in (Framing(), Framing(keep_size=True)):
        job = ProjectionJob(Space.parse("FNW5"), quick("FNW5"), 0, framing, progress_format="gif")
        project_file(w.generator, photograph, OutputPaths.in_folder(w.folder, "face"), job)
    latent = Latent.load(w.folder / "face.pt")
    assert {t.device.type for t in latent.tensors()} == {"cpu"}
    assert describe_latent(latent)["space"] == "FNW5"


@use
def save_from_the_device(w: World) -> Any:
    latents = []
    for k, space in enumerate(SPACES):
        path = w.folder / f"{k}{'.pt' if k % 2 else '.safetensors'}"
        w.generator.sample(0, space=space).save(path)
        latents.append(Latent.load(path).to(w.device))
    return latents


@use
def latents_of_other_projects(w: World) -> Any:
    ws = w.latent("W+").styles
    noise = w.latent("NW+").noise
    assert isinstance(ws, Tensor)
    points = [ForeignPoint("a", ws[0]), ForeignPoint("b", ws[0], noise)]
    taken = [to_latent(w.generator, point) for point in points]
    for kind in ENDINGS:
        encode_points(w.generator, w.latent("W"), kind)
    return taken


# -- companions


@use
@inexact
def companions(w: World) -> Any:
    found = with_companion(w.generator, w.latent("FNW5"), w.latent("FNW5", 1), steps=2)
    ensured = ensure_companion(w.generator, w.latent("FW5"), steps=2)
    later_styles(w.latent("FNSW5"))
    return found, ensured, with_companion(w.generator, w.canvas, steps=2)


@use
def edit_what_a_companion_carries(w: World) -> Any:
    canvas = w.canvas
    rows = [w.latent("FNW5", seed).companion for seed in (0, 1)]
    styles = torch.stack([row.styles for row in rows if row is not None], 1)
    windows = torch.tensor([[[0.0, 0.0], [16.0, 0.0]]])
    canvas = canvas.replace(companion=Companion(styles, windows))
    offset = w.direction.offset(10, 1.0)
    wide = torch.nn.functional.pad(w.mask, (0, 64))
    made = [move(w.generator, w.latent("FNW5"), offset, features=name) for name in FEATURE_EDITS]
    made += [edit(w.generator, w.latent(space), w.direction, 2.0) for space in ("Z", "W", "SW+")]
    made.append(edit(w.generator, w.latent("FNSW5"), w.direction, 1.0, mask=w.mask))
    made.append(edit(w.generator, canvas, w.direction, 1.0, features="difference", mask=wide))
    twice = chain(w.generator, w.latent("FNW5"), [(w.direction, 1.0), (w.direction, -0.5)])
    return [*made, twice, edit(w.generator, made[0], w.direction, -1.0)]


@use
@inexact
def edit_what_has_no_companion(w: World) -> Any:
    bare = w.latent("FNW3").replace(companion=None)
    ws = []
    for space in ("FNW5", "W"):
        w.latent(space).save(w.folder / "point.pt")
        ws.append(style_vectors(w.generator, [w.folder / "point.pt"]))
    return edit(w.generator, bare, w.direction, 1.0), ws


# -- edits of two or more


@use
def mix_and_style_mix(w: World) -> Any:
    generator, a, b = w.generator, w.latent("FNW5"), w.latent("FNW5", 1)
    w_plus = w.latent("NW+"), w.latent("NW+", 1)
    mixed = [
        mix(generator, a, b, w.mask, feather=6, shift=(2, 0), keep_styles=2),
        mix(generator, w.latent("W"), w.latent("SW+", 1), w.mask),
        mix(generator, a, b, torch.ones(1, 1, 64, 64)),
        style_mix(generator, *w_plus, "coarse"),
        style_mix(generator, a, b, (0, 4)),
        resample(generator, w.latent("W"), "middle", 5),
    ]
    return mixed, generator.render(mixed[0])


@use
def interpolate_and_combine(w: World) -> Any:
    generator, a, b = w.generator, w.latent("FNW5"), w.latent("FNW5", 1)
    way = list(frames(generator, a, b, 3)) + list(frames(generator, a, b, 3, "left"))
    return way, interpolate(generator, a, w.latent("Z", 1), 0.3), combine(generator, a, b, a)


@use
def canvases(w: World) -> Any:
    moved = shift(w.latent("FNSW5"), (2, 0))
    cut = crop(w.latent("FNW5").to(w.device), (2, 4, 8, 6))
    return moved.to(w.device), cut, w.generator.render(w.canvas)


@use
def moments_of_samples(w: World) -> Any:
    pictures = GeneratedPictures(w.generator, [0, 1, 2])
    moments = vgg16_moments([pictures.images(0, 2)], small_features().to(w.device))
    noise = sampled(w.generator, [0, 1], psi=0.5).noise
    return noise, pictures.images(2, 3), moments.cpu().mean.sum().item()


@use
def measures_of_a_generator(w: World) -> Any:
    tensors = small_vgg_tensors()
    heads = [tensors[f"head{depth}"] for depth in range(len(HEADS))]
    distance = PerceptualDistance("lpips-vgg", vgg16_stages(tensors), heads).to(w.device)
    settings = PathSettings(space="Z", epsilon=0.1)  # a small one would enlarge the rounding
    lengths = path_lengths(w.generator, distance, [0, 1], settings=settings)
    addends, std = resolution_shares(w.generator, [0, 1])
    spectrum, path = jacobians(w.generator, [0], rank=2)
    facts = sample_facts(w.generator, [0, 1])["seeds"]
    return [
        *lengths.tolist(),
        *(a.share for a in addends),
        std,
        facts,
        path.item(),
        spectrum[0, 0].item(),
    ]


@use
def equalize_and_plot(w: World) -> Any:
    latents = [equalize(w.generator, w.latent(space), 0.5) for space in ("NW+", "FNW5", "FNSW5")]
    distances = distribution_figure(w.generator, w.latent("FNW5"), w.folder / "stats.png")
    measured = distribution_distances(w.generator, w.latent("FNW5"))
    return latents, list(distances.values()), list(measured.values())


# -- directions


@use
def make_directions(w: World) -> Any:
    generator, space = w.generator, WSpace.from_generator(w.generator, 200)
    ws = style_vectors(generator, list(range(30)))
    scores = ws[:, 0].cpu().double()
    learned = learn(ws, scores, name="x", space=space, against=[w.direction])
    made = from_exemplars(ws[:3], ws[3:6], name="y", space=space)
    found = [*principal_directions(generator, 2, samples=100), *factorize(generator, (0, 4), 2)]
    found += factorize(w.mobile, (2, 7), 1)
    scored = [ws, scores.to(ws.device, torch.float32)]
    measured = diagnostics.measure(learned, space, [made], held_out=(scored[0], scored[1]))
    made.check_generator(generator)
    vectors = [d.vectors.to(w.device) for d in (learned, made, *found)]
    return ws, vectors, measured.correlation, space.name


@use
def a_direction_with_vectors_of_the_device(w: World) -> Any:
    there = Direction("there", w.direction.vectors.to(w.device), sigma=0.5)
    save_direction(there, w.folder / "there.safetensors")
    space = WSpace.from_generator(w.generator, 200)
    measured = diagnostics.measure(there, space, [w.direction])
    again = unit(w.direction.vectors.to(w.device) * 3)
    assert torch.allclose(again, there.vectors)
    return edit(w.generator, w.latent("W"), there, 1.0), measured.spread_ratio


# -- attribute models and encoders


@use
@inexact
def attribute_model(w: World) -> Any:
    counts = {"samples": 8, "held_out": 2, "batch": 2, "perceptual_batch": 1}
    tiny = AttributeSettings(**counts, steps=1, rank=4, perceptual_steps=1)
    distance = tiny_distance().to(w.device)
    model = train_attribute_model(w.generator, w.direction, 5, settings=tiny, perceptual=distance)
    name = "tilt-layer5-small.safetensors"
    save_attribute_model(model.half(), w.folder / name)
    loaded = load_attribute_model(w.folder / name, w.generator)
    assert find_model(w.generator, w.direction, 5, folder=w.folder) is not None
    latent = w.latent("FNW5")
    edited = edit(w.generator, latent, w.direction, 1.0, features=loaded, mask=w.mask)
    there = latent.to(w.device)
    assert there.features is not None
    return edited, loaded(there.features, there.rgb)


@use
@inexact
def train_encode_and_resume(w: World) -> Any:
    path = w.folder / "encoder.safetensors"
    tiny = EncoderSettings(batch=2, held_out=2, dist_weight=0.0, perceptual=("tiny",), half=True)
    distances = [tiny_distance().to(w.device)]
    train_encoder(w.generator, 5, path, settings=tiny, steps=1, perceptual=distances)
    train_encoder(w.generator, 5, path, settings=tiny, steps=2, resume=True, perceptual=distances)
    encoder = load_encoder(path, w.generator)
    start = encoder_init(w.generator, w.image, Space.parse("FNW5"), encoder)
    return encoder.encode(w.generator, w.image), start


@use
@inexact
def train_a_gan_and_resume(w: World) -> Any:
    path, data = w.folder / "gan.safetensors", make_photo(w.folder / "data.png")
    tiny = GanSettings(
        space="FNZ3", latent="learned", resolution=16, channel_base=64, channel_max=4, batch=4
    )
    train_gan(data, path, settings=tiny, steps=1, device=w.device)
    train_gan(data, path, settings=tiny, steps=2, resume=True, device=w.device)
    generator = load_generator(path, device=w.device)
    return generator.sample(0, space="FNZ3")


@use
def samples_of_training(w: World) -> Any:
    encoding, noise = Samples(w.generator, 5, seed=3).points(1, 2)
    images = [
        Renderer(w.generator, 5, 32, previews=previews).without_gradients(encoding, noise)
        for previews in (False, True)
    ]
    batch = Batches(
        Samples(w.mobile, 5), Renderer(w.mobile, 5, 64), EncoderSettings(batch=3, image_batch=1)
    )[0]
    labelled = Samples(w.conditional, 3, seed=1).points(2, 1).encoding
    pairs = PairSampler(w.conditional, 3, w.direction.offset(10, 1.0), 2.0).pairs(range(2))
    return tuple(encoding), noise, images, tuple(labelled), pairs, batch.images, batch.noise


@use
def save_and_load_a_new_encoder(w: World) -> Any:
    encoder: Encoder = new_encoder(w.generator, 5).to(w.device)
    save_encoder(encoder, w.folder / "new.safetensors", {})
    load_encoder(w.folder / "new.safetensors", w.generator)
