"""Figures: sheets hold their pictures, kept projections are found again, the page says only what
was measured.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from networks import small_generator
from PIL import Image, ImageFont

from directions.direction import Direction
from invert.errors import UsageError
from invert.generator import Generator
from invert.loading import load_generator
from invert.metrics.perceptual import PerceptualDistance
from invert.projection.settings import ProjectionSettings

sys.path.append(str(Path(__file__).parents[2] / "tools" / "figures"))

import all as all_figures
import earth
import fig_4_1
import fig_4_1_earth
import fig_4_3
import fig_4_3_earth
import fig_6_2b
import mixtures
import page
import regularized
import seams
import targets
import two_spaces
from catalogue import description, figure_files
from editing import edit_mark, edited, share
from face_scores import mouth_corners
from faces import FaceNets
from projections import Projections, defaults_mark, projection_key
from record import Figure, Finding, write_record
from sheet import FONT, GAP, LINE, Sheet, Tile, wrap
from studio import Studio, make

ROOT = Path(__file__).parents[2]
FIGURES_OF_S_AND_A = [
    *("fig_4_1", "fig_4_1_earth", "fig_4_2", "fig_4_3", "fig_4_3_earth"),
    "fig_5_2",
    *("fig_6_2", "fig_6_2b"),
    *("fig_6_3", "fig_6_3_earth"),
    *(f"fig_6_{k}" for k in range(4, 12)),
    *(f"fig_7_{k}" for k in (4, 5, 6, 7, 8, 10)),
    "fig_7_10_earth",
    *(f"automodulator_{k}" for k in (8, 14, 18)),
]
OWN = ["beyond_regularized", "beyond_repaint"]
FIGURES = FIGURES_OF_S_AND_A + OWN


@pytest.fixture(scope="module")
def generator() -> Generator:
    return small_generator()


def noise_image(side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def plain(colour: str, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


# -- sheets


def test_tiles_lie_in_rows_and_columns_at_one_height() -> None:
    sheet = Sheet(("first", "second"), tile=32)
    sheet.row("a row", plain("red"), Tile(plain("lime", (128, 64)), "under it"))
    sheet.row("", None, plain("blue"))
    picture = sheet.draw()
    assert picture.width == GAP + 32 + GAP + 64 + GAP  # the wide picture keeps its proportions
    top = LINE + GAP + LINE  # the columns' and the row's label
    assert picture.getpixel((GAP + 16, top + 16)) == (255, 0, 0)
    assert picture.getpixel((GAP + 32 + GAP + 32, top + 16)) == (0, 255, 0)
    second = top + 32 + LINE + GAP
    assert picture.getpixel((GAP + 32 + GAP + 16, second + 16)) == (0, 0, 255)
    assert picture.height == second + 32 + GAP


def test_a_tensor_is_shown_with_its_colours() -> None:
    sheet = Sheet(tile=8)
    sheet.row("", torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 8, 8))
    assert sheet.draw().getpixel((GAP + 4, GAP + 4)) == (255, 0, 0)


def test_captions_are_broken_between_words_to_the_width_of_their_picture() -> None:
    font = ImageFont.load_default(FONT)
    text = wrap("NW+ 300 steps, ST-LPIPS-vgg 0.145", 120, font)
    assert text.replace("\n", " ") == "NW+ 300 steps, ST-LPIPS-vgg 0.145"
    assert all(font.getlength(line) <= 120 for line in text.split("\n"))


def test_an_empty_sheet_is_refused() -> None:
    sheet = Sheet()
    sheet.row("nothing", None)
    with pytest.raises(UsageError, match="at least one picture"):
        sheet.draw()


def test_a_sheet_is_saved_small_enough(tmp_path: Path) -> None:
    sheet = Sheet(tile=256)
    sheet.row("", *(noise_image(256, seed) for seed in range(3)))
    sheet.save(tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").stat().st_size <= 300_000
    with Image.open(tmp_path / "a.jpg") as saved:
        assert saved.size == sheet.draw().size


# -- projections


def test_the_key_changes_with_everything_that_a_projection_depends_on(generator: Generator) -> None:
    image, settings = noise_image(), ProjectionSettings(perceptual="none")
    other = small_generator(seed=1)
    start = generator.sample(0, space="NW+")
    keys = [
        projection_key(generator, image, "NW+", settings, "mean", 0),
        projection_key(other, image, "NW+", settings, "mean", 0),
        projection_key(generator, image + 1e-6, "NW+", settings, "mean", 0),
        projection_key(generator, image[..., :32], "NW+", settings, "mean", 0),
        projection_key(generator, image, "FNW5", settings, "mean", 0),
        projection_key(generator, image, "NW+", settings, "two-stage", 0),
        projection_key(generator, image, "NW+", settings, "encoder", 0),
        projection_key(generator, image, "NW+", settings, start, 0),
        projection_key(generator, image, "NW+", settings, generator.sample(1, space="NW+"), 0),
        projection_key(generator, image, "NW+", settings, generator.sample(0, space="W+"), 0),
        projection_key(generator, image, "NW+", settings, "mean", 1),
    ]
    for field in fields(settings):
        value = getattr(settings, field.name)
        changed: object = "lpips-vgg"
        if isinstance(value, bool):
            changed = not value
        elif isinstance(value, (int, float)):
            changed = value / 2 + 0.25 if isinstance(value, float) else value + 1
        settings_now = settings.replace(**{field.name: changed})
        keys.append(projection_key(generator, image, "NW+", settings_now, "mean", 0))
    assert len(set(keys)) == len(keys)


def test_the_key_of_equal_things_is_equal(generator: Generator) -> None:
    image, settings = noise_image(), ProjectionSettings(perceptual="none")
    a = projection_key(generator, image, "fnw5", settings, generator.sample(0), 0)
    assert a == projection_key(
        small_generator(), image.clone(), "FNW+5", settings.replace(), generator.sample(0), 0
    )


def test_a_kept_projection_is_found_and_not_made_again(
    generator: Generator, tmp_path: Path
) -> None:
    settings = ProjectionSettings(steps=2, init_steps=1, perceptual="none")
    kept = Projections(generator, tmp_path)
    made = kept.get(noise_image(), "FNW5", settings)
    [path] = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    found = kept.get(noise_image(), "FNW5", settings)
    assert path.stat().st_mtime_ns == written
    assert (found.seconds, found.start, found.stop_reason) == (made.seconds, "two-stage", "steps")
    assert torch.equal(found.image, made.image)
    kept.get(noise_image(), "FNW5", settings, seed=1)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_projection_is_not_kept(generator: Generator, tmp_path: Path) -> None:
    settings = ProjectionSettings(steps=50, init_steps=1)
    distance = PerceptualDistance("interrupts", [InterruptsLater()], [torch.ones(3)])
    with pytest.raises(KeyboardInterrupt):
        Projections(generator, tmp_path).get(noise_image(), "W+", settings, perceptual=distance)
    assert not list(tmp_path.iterdir())


class InterruptsLater(torch.nn.Module):
    """Stands for Ctrl-C in a few steps, whatever the machine's speed."""

    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 5:
            raise KeyboardInterrupt
        return images


# -- targets


@pytest.mark.parametrize("border", ["replicate", "reflect"])
@pytest.mark.parametrize("pixels", [0, 5, -5])
def test_a_shifted_image_is_the_image_elsewhere(pixels: int, border: targets.Border) -> None:
    image = noise_image(32)
    moved = targets.shifted(image, pixels, border)
    assert moved.shape == image.shape
    if pixels >= 0:
        assert torch.equal(moved[..., pixels:], image[..., : 32 - pixels])
    else:
        assert torch.equal(moved[..., :pixels], image[..., -pixels:])


def test_what_a_shift_brings_in_is_the_border_or_its_mirror() -> None:
    image = noise_image(32)
    assert torch.equal(targets.shifted(image, 3)[..., :3], image[..., :1].expand(-1, -1, -1, 3))
    assert torch.equal(targets.shifted(image, 3, "reflect")[..., :3], image[..., 1:4].flip(3))


def test_a_shift_of_the_whole_width_is_refused() -> None:
    with pytest.raises(UsageError, match="less than 32 px, got -32"):
        targets.shifted(noise_image(32), -32)


def test_two_people_keep_their_halves_away_from_a_soft_seam() -> None:
    left, right = targets.eight_bit(noise_image(64)), targets.eight_bit(noise_image(64, 1))
    both = targets.two_people(left, right)
    assert both.shape == (1, 3, 64, 128)
    assert torch.equal(both[..., :62], left[..., :62])
    assert torch.equal(both[..., 66:], right[..., 2:])


def test_people_of_two_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="two pictures of one size"):
        targets.two_people(noise_image(32), noise_image(64))


def test_the_covered_eye_is_smooth_and_the_rest_untouched() -> None:
    face = torch.zeros(1, 3, 128, 128)
    x, y, a, b = (round(128 * value) for value in targets.RIGHT_EYE)
    face[..., y - 4 : y + 4, x - 6 : x + 6] = -1
    face = targets.eight_bit(face)
    covered = targets.one_eyed(face)
    assert covered[..., y - b : y + b, x - a : x + a].abs().max() < 0.02
    outside = torch.ones(128, 128, dtype=torch.bool)
    outside[y - b - 2 : y + b + 2, x - a - 2 : x + a + 2] = False
    assert torch.equal(covered[..., outside], face[..., outside])


def test_targets_have_values_that_a_file_can_hold(generator: Generator) -> None:
    image = targets.generated(generator, 1000)
    assert torch.equal(targets.eight_bit(image), image)


# -- instruments


def test_an_edge_shows_in_the_step_ratio_and_a_smooth_picture_has_none() -> None:
    ramp = torch.linspace(-0.5, 0, 256)
    smooth = (ramp[:, None] + ramp).expand(1, 3, 256, 256)
    for where in ("right", "below"):
        mask = mixtures.half(256, where)
        assert seams.step_ratio(smooth, mask) == pytest.approx(1, abs=1e-3)
        assert seams.step_ratio(smooth + mask, mask) > 100


def test_averaging_two_pictures_loses_detail() -> None:
    a, b = noise_image(256), noise_image(256, 1)
    mask = torch.full((1, 1, 256, 256), 0.5)
    assert seams.detail_ratio(torch.lerp(a, b, 0.5), a, b, mask) == pytest.approx(
        0.5**0.5, abs=0.01
    )
    assert seams.detail_ratio(a, a, a, mask) == pytest.approx(1)


def test_change_outside_compares_with_the_face_that_should_be_there() -> None:
    a, b = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    mask = torch.tensor([0.0, 0.5, 0.5, 1.0]).expand(1, 1, 4, 4)
    assert seams.change_outside(torch.lerp(a, b, mask), a, b, mask) == 0
    # half the pixels, half the range
    assert seams.change_outside(b, a, b, mask) == pytest.approx(0.25)


def test_raised_corners_of_the_mouth_are_a_smile_whatever_the_tilt() -> None:
    points = np.zeros((1, 68, 2))
    points[0, 36:42], points[0, 42:48] = (-30, 0), (30, 0)
    points[0, 27], points[0, 33] = (0, 0), (0, 30)
    points[0, 51], points[0, 57] = (0, 50), (0, 60)
    points[0, 48], points[0, 54] = (-20, 49), (20, 49)
    assert mouth_corners(points)[0] == pytest.approx(0.1)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    assert mouth_corners(points @ turn.T)[0] == pytest.approx(0.1)


def test_no_pictures_need_no_nets() -> None:
    assert FaceNets(Path("nowhere")).measure([]) == []


def test_figures_that_measure_faces_say_where_the_nets_come_from(generator: Generator) -> None:
    with pytest.raises(UsageError, match="--packages FOLDER"):
        _ = Studio(generator).nets


def test_a_share_of_nothing_is_none() -> None:
    assert share(1.0, 2.0) == 0.5
    assert share(None, 2.0) is None
    assert share(1.0, None) is None
    assert share(1.0, 0.0) is None


# -- figures and the page


def test_every_figure_that_is_drawn_has_a_script_with_a_statement() -> None:
    assert [path.stem for path in figure_files()] == FIGURES
    for path in figure_files():
        heading, text = description(path)
        assert heading.startswith(("[S] fig. ", "[A] fig. ", "Beyond [S]: ")), path
        assert text.startswith(("[S]", "[A]")), path


@pytest.mark.parametrize("module", [fig_4_1_earth, fig_4_3_earth])
def test_figures_of_landscapes_have_a_part_for_each_of_their_generators(
    module: object, tmp_path: Path
) -> None:
    studio = Studio(load_generator(module.NETWORK), quick=True)
    make(studio, "a", module.draw, tmp_path)
    record = json.loads((tmp_path / "a.json").read_text())
    assert set(record["settings"]["generators"]) == {earth.NETWORK, earth.PLAIN}
    assert {row["generator"] for row in record["rows"]} == {earth.NETWORK, earth.PLAIN}


def test_land_moves_right_and_brings_in_what_lies_there() -> None:
    studio = Studio(small_generator())
    here, moved = earth.land(studio), earth.land(studio, moved=16)
    assert here.shape == moved.shape == (1, 3, 64, 64)
    assert torch.equal(here[..., :48], moved[..., 16:])
    assert not torch.equal(here, moved)


@pytest.mark.parametrize("module", [fig_4_1, fig_4_3])
def test_a_figure_writes_its_picture_and_its_numbers(
    module: object, generator: Generator, tmp_path: Path
) -> None:
    picture = make(Studio(generator, quick=True), "a", module.draw, tmp_path)
    with Image.open(picture) as sheet:
        assert min(sheet.size) > 64
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["quick"] is True
    assert record["torch"] == torch.__version__
    assert record["projected with"] is None  # nothing was
    assert record["edited with"] is None
    assert record["generator"]["fingerprint"] == generator.fingerprint[:16]
    assert record["rows"]


def test_a_figure_remembers_that_a_point_with_features_was_edited(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(
        "edits.along_direction.find",
        lambda name: Direction(name, vector / vector.norm(), sigma=1.0),
    )

    def draw(space: str) -> dict[str, object]:
        def edit(studio: Studio) -> Figure:
            sheet = Sheet()
            sheet.row(
                "", generator.render(edited(studio, generator.sample(0, space=space), "smile", 1.0))
            )
            return Figure(sheet)

        make(Studio(generator, quick=True), space, edit, tmp_path)
        return json.loads((tmp_path / f"{space}.json").read_text())

    assert draw("NW+")["edited with"] is None
    assert draw("FNW5")["edited with"] == edit_mark()


def test_the_second_half_of_a_figure_takes_the_first_of_the_same_defaults_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fig_6_2b, "FIRST_HALF", tmp_path / "fig_6_2.json")
    with pytest.raises(UsageError, match="draw fig_6_2 first"):
        fig_6_2b.first_half()
    write(tmp_path, "fig_6_2", projected_with="others")
    with pytest.raises(UsageError, match="draw fig_6_2 again"):
        fig_6_2b.first_half()
    write(tmp_path, "fig_6_2", projected_with=defaults_mark())
    assert fig_6_2b.first_half() == {}


def test_shares_are_means_over_the_pictures_of_both_halves() -> None:
    details = {
        two_spaces.key(image, space, steps): {
            "mse": value if space == "FNW5" else 1.0,
            two_spaces.MAIN: value,
        }
        for image, value in (("a", 0.5), ("b", 0.7))
        for space in two_spaces.SPACES
        for steps in two_spaces.WANTED
    }
    found = two_spaces.findings_of(details, [two_spaces.MAIN, "mse"])
    assert [finding.value for finding in found] == pytest.approx([0, 0.4] * 2)
    assert [finding.holds for finding in found] == [False, None] * 2
    assert all("2 pictures" in finding.what for finding in found)


def test_the_regularizer_is_judged_at_equal_distance_only() -> None:
    def run(
        steps: int, weight: float, styles: float, distance: float, response: float
    ) -> regularized.Run:
        return {"steps": steps, "weight": weight, "wasserstein styles": styles,
                regularized.MAIN: 0.01, regularized.LPIPS: distance,
                "response, all": response}  # fmt: skip

    runs = [run(200, 0, 0.1, 0.040, 0.5), run(200, 0.1, 0.05, 0.041, 0.6),
            run(200, 1, 0.01, 0.05, 0.7),
            run(900, 0, 0.2, 0.010, 0.2), run(900, 1, 0.01, 0.02, 0.65)]  # fmt: skip
    found = {finding.what: finding for finding in regularized.findings_of(runs, 900)}
    at = f"steps: largest of these falls at equal {regularized.LPIPS}, 1 where there is none"
    assert found[f"200 {at}"].value == pytest.approx(2)
    assert found[f"900 {at}"].value == 1
    assert not found[f"900 {at}"].holds
    assert found["λ = 0: response at 900 steps over that at 200"].value == pytest.approx(0.4)
    assert found["λ = 1: response at 900 steps over that at 200"].holds
    farther = found[f"900 steps, λ = 1: {regularized.LPIPS} over that without"]
    assert farther.value == pytest.approx(2)
    assert found["200 steps: response with λ = 0.1 over that without"].value == pytest.approx(1.2)


def test_runs_of_several_pictures_are_judged_by_their_means() -> None:
    def run(image: str, steps: int, response: float | None) -> regularized.Run:
        return {"image": image, "steps": steps, "weight": 1.0, "response, all": response}

    runs = [run("a", 200, 0.5), run("a", 900, 0.4), run("b", 200, 1.0), run("b", 900, None)]
    assert regularized.means(runs) == [
        {"steps": 200, "weight": 1.0, "response, all": 0.75},
        {"steps": 900, "weight": 1.0, "response, all": None},
    ]


def test_an_unknown_figure_is_refused_before_anything_is_loaded() -> None:
    result = CliRunner().invoke(all_figures.main, ["fig_9_9"])
    assert result.exit_code == 2
    assert "unknown figure fig_9_9" in result.output


def test_findings_compare_with_their_bounds() -> None:
    assert Finding("", 1.0, at_least=1).holds is True
    assert Finding("", 0.9, at_least=1).holds is False
    assert Finding("", 0.9, at_least=0.5, at_most=0.8).holds is False
    assert Finding("", 0.9).holds is None
    assert Finding("", None, at_least=1).holds is None


def write(
    folder: Path,
    name: str,
    *,
    quick: bool = False,
    projected_with: str | None = None,
    edited_with: str | None = None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"space": "NW+", "distance": 0.123456},
        {"space": "FNW5", "distance": float("nan"), "more": 3},
    ]
    findings = [
        Finding("lower by", 0.4, at_least=0.3),
        Finding("response", 0.1, at_least=0.9),
        Finding("seen", 7.0),
    ]
    facts = {
        "figure": name,
        "quick": quick,
        "projected with": projected_with,
        "edited with": edited_with,
    }
    write_record(folder / f"{name}.json", Figure(Sheet(), rows, findings), facts)


def test_figures_without_numbers_are_listed_as_not_yet_run(tmp_path: Path) -> None:
    text = page.page(tmp_path)
    assert text.count("*Not yet run.*") == len(FIGURES)
    assert text.count("\n* ") == len(FIGURES)
    assert "](figures/" not in text


def test_the_page_shows_the_numbers_of_figures_that_were_run(tmp_path: Path) -> None:
    write(tmp_path, "fig_6_2")
    text = page.page(tmp_path)
    assert text.count("*Not yet run.*") == len(FIGURES) - 1
    assert "](figures/fig_6_2.jpg)" in text
    assert "| NW+ | 0.123 |  |" in text
    assert "| FNW5 |  | 3 |" in text
    assert "| lower by | 0.4 | ≥ 0.3 | holds |" in text
    assert "| response | 0.1 | ≥ 0.9 | **differs** |" in text
    assert "| seen | 7 |  |  |" in text


def test_the_page_says_which_figures_are_of_earlier_defaults(tmp_path: Path) -> None:
    write(tmp_path, "fig_4_1")
    write(tmp_path, "fig_6_2", projected_with=defaults_mark())
    assert page.EARLIER not in page.page(tmp_path)
    write(tmp_path, "fig_6_3", projected_with="others")
    assert page.page(tmp_path).count(page.EARLIER) == 1
    write(tmp_path, "fig_6_4", edited_with=edit_mark())
    assert page.page(tmp_path).count(page.EARLIER) == 1
    write(tmp_path, "fig_6_6", edited_with="others")
    assert page.page(tmp_path).count(page.EARLIER) == 2


def test_quick_runs_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, "fig_6_2", quick=True)
    assert page.page(tmp_path).count("*Not yet run.*") == len(FIGURES)


def test_the_page_in_the_repository_is_what_its_figures_say() -> None:
    expected = page.page(ROOT / "docs" / "figures")
    assert (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8") == expected, (
        "run tools/figures/page.py"
    )


def test_every_picture_has_its_numbers_and_is_small() -> None:
    for picture in (ROOT / "docs" / "figures").glob("*.jpg"):
        assert picture.with_suffix(".json").exists(), picture
        assert picture.stat().st_size <= 300_000, picture
