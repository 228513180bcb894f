"""Directions of other projects are read, what is no direction is named, and nothing in a file is
run or believed.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import small_generator
from shell import Shell, refused, succeeded

from directions.direction import Direction, unit
from directions.direction_files import load_direction, save_direction
from directions.importers import import_direction
from directions.scored_samples import read_scores, style_vectors
from directions.w_space import WSpace
from invert.errors import FingerprintError, InvertError, LatentError, ModelFileError, UsageError
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.projection.companion import with_companion

GENERATOR = small_generator()
SPACE = WSpace.from_generator(GENERATOR, 500)
W_DIM = SPACE.w_dim
RNG = np.random.default_rng(0)
VECTOR = RNG.normal(size=W_DIM)
ROWS = RNG.normal(size=(10, W_DIM))
UNIT = unit(torch.from_numpy(VECTOR))
T = torch.from_numpy


def read(path: Path, **options: Any) -> Direction:
    return import_direction(path, name="x", space=SPACE, **options)


def same(direction: Direction, vectors: np.ndarray) -> bool:
    return torch.allclose(direction.vectors, unit(torch.from_numpy(vectors)), atol=1e-6)


# -- kinds


@pytest.mark.parametrize("key", ["g_ema", "state_dict"])
def test_the_mean_w_of_a_network_is_no_direction(key: str, tmp_path: Path) -> None:
    torch.save({key: {}, "latent_avg": torch.ones(W_DIM)}, tmp_path / "net.pt")
    with pytest.raises(ModelFileError, match="a network's file"):
        read(tmp_path / "net.pt")


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("shape", [(W_DIM,), (1, W_DIM), (1, 1, W_DIM)])
def test_one_vector_in_any_float_type_and_shape(
    shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "b.npy", (5 * VECTOR).astype(dtype).reshape(shape))
    d = read(tmp_path / "b.npy", styles=(0, 4), meaning="older")
    torch.testing.assert_close(d.vectors, UNIT, atol=2e-3 if dtype == "<f2" else 1e-6, rtol=0)
    assert d.sigma == pytest.approx(SPACE.std_along(d.vectors))
    assert (d.styles, d.meaning, d.w_space) == ((0, 4), "older", SPACE.name)
    assert d.source == {"method": "import", "file": "b.npy", "sign": 1}


def test_the_sign_turns_a_direction_round(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", VECTOR)
    assert torch.equal(read(tmp_path / "b.npy", sign=-1).vectors, -read(tmp_path / "b.npy").vectors)


@pytest.mark.parametrize("shape", [(10, W_DIM), (1, 10, W_DIM)])
def test_one_vector_per_layer(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", ROWS.reshape(shape))
    assert same(read(tmp_path / "b.npy"), ROWS)
    np.save(tmp_path / "b.npy", np.broadcast_to(VECTOR, shape))
    assert same(read(tmp_path / "b.npy"), VECTOR)


def test_an_index_chooses_from_a_set(tmp_path: Path) -> None:
    many = RNG.normal(size=(40, W_DIM))
    for k, array in enumerate((many, many[:, None], many[:10])):
        np.save(tmp_path / f"{k}.npy", array)
        assert same(read(tmp_path / f"{k}.npy", index=7), many[7])
    np.save(tmp_path / "w+.npy", np.stack([ROWS, 2 + ROWS]))
    assert same(read(tmp_path / "w+.npy", index=1), 2 + ROWS)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_ganspace_components_of_w(save: Any, tmp_path: Path) -> None:
    components = RNG.normal(size=(6, 1, W_DIM)).astype("f4")
    save(
        tmp_path / "pca.npz",
        act_comp=components + 1,
        lat_comp=components,
        lat_stdev=np.ones(6),
        act_mean=VECTOR,
    )
    d = read(tmp_path / "pca.npz", index=3)
    assert same(d, components[3, 0])
    assert (d.source["key"], d.source["index"]) == ("lat_comp", 3)
    assert same(read(tmp_path / "pca.npz", index=3, key="act_comp"), components[3, 0] + 1)
    assert same(read(tmp_path / "pca.npz", key="act_mean"), VECTOR)


@pytest.mark.parametrize("zip_format", [True, False])
def test_sefa_factors_are_columns(zip_format: bool, tmp_path: Path) -> None:
    factors = torch.randn(W_DIM, W_DIM, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "factor.pt"
    torch.save(
        {"ckpt": "550000.pt", "eigvec": factors}, path, _use_new_zipfile_serialization=zip_format
    )
    assert same(read(path, index=2), factors[:, 2].numpy())


def test_a_known_key_holds_a_set_however_few_its_directions(tmp_path: Path) -> None:
    for key, content in (("eigvec", T(ROWS.T)), ("comp", T(ROWS)), ("lat_comp", T(ROWS))):
        torch.save({key: content}, tmp_path / "set.pt")
        with pytest.raises(ModelFileError, match="a set of 10 directions; choose one by index"):
            read(tmp_path / "set.pt", num_ws=10)
        assert same(read(tmp_path / "set.pt", num_ws=10, index=3), ROWS[3])
    torch.save({"eigvec": T(VECTOR[:, None])}, tmp_path / "one.pt")
    assert same(read(tmp_path / "one.pt"), VECTOR)


def test_rows_that_are_not_the_generators_styles_need_an_index_or_a_range(tmp_path: Path) -> None:
    for count in (8, 12):
        rows = RNG.normal(size=(count, W_DIM))
        for array in (rows, rows[None]):
            np.save(tmp_path / "set.npy", array)
            with pytest.raises(
                ModelFileError,
                match=f"{count} rows, the generator has 10 styles; "
                "choose one of a set with --index, or give --styles",
            ):
                read(tmp_path / "set.npy", num_ws=10)
            assert same(read(tmp_path / "set.npy", num_ws=10, styles=(0, 8)), rows)
            assert same(read(tmp_path / "set.npy"), rows)
        np.save(tmp_path / "set.npy", rows)
        assert same(read(tmp_path / "set.npy", num_ws=10, index=7), rows[7])
        np.save(tmp_path / "set.npy", np.stack([rows, 2 + rows]))
        with pytest.raises(ModelFileError, match=r"10 styles; give --styles"):
            read(tmp_path / "set.npy", num_ws=10, index=1)
        np.save(tmp_path / "equal.npy", np.broadcast_to(VECTOR, (count, W_DIM)))
        assert same(read(tmp_path / "equal.npy", num_ws=10), VECTOR)
    np.save(tmp_path / "w+.npy", ROWS)
    assert same(read(tmp_path / "w+.npy", num_ws=10), ROWS)


def test_the_command_knows_how_many_styles_the_generator_has(run: Shell, network: Path) -> None:
    np.save("set.npy", ROWS[:8])
    words = ["directions", "import", "set.npy", "--name", "x", "--network", network]
    refused(run(*words), 4, "set.npy: 8 rows, the generator has 10 styles; choose one of a set")
    succeeded(run(*words, "--index", "2"))
    assert same(load_direction("x.safetensors"), ROWS[2])
    refused(run(*words, "--styles", "0-8", "--overwrite"), 2, "its range ends with style 8")


def test_tensors_in_pt_files(tmp_path: Path) -> None:
    torch.save(UNIT[None], tmp_path / "age.pt")
    assert same(read(tmp_path / "age.pt"), VECTOR)
    torch.save({"comp": torch.from_numpy(ROWS), "mean": UNIT}, tmp_path / "ffhq_pca.pt")
    assert same(read(tmp_path / "ffhq_pca.pt", index=0), ROWS[0])


# -- what is no direction


def saved(path: Path, content: Any) -> None:
    if path.suffix == ".npy":
        np.save(path, content, allow_pickle=True)
    elif path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content, protocol=4))
    else:
        torch.save(content, path)


REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    (
        "projected_w.npz",
        {"w": ROWS[None]},
        {},
        r"a projected latent \(key 'w'\): points, not a direction",
    ),
    (
        "p.pt",
        {"a.png": {"img": T(ROWS), "latent": T(ROWS), "noise": []}},
        {},
        "projected latents: points",
    ),
    (
        "latents.pt",
        T(np.stack([ROWS, ROWS])),
        {},
        r"a set of latents is points.*choose one by index",
    ),
    ("set.npy", RNG.normal(size=(40, W_DIM)), {}, "a set of 40 directions; choose one by index"),
    ("set.npy", RNG.normal(size=(40, 1, W_DIM)), {}, "a set of 40 directions; choose one by index"),
    ("x.npy", VECTOR[:9], {}, r"an array \[9\], expected a direction of width w_dim 32"),
    ("x.npy", RNG.normal(size=(1, 1, 1, W_DIM)), {}, "expected a direction of width"),
    ("x.npy", np.zeros((0, W_DIM)), {}, "an empty array"),
    ("x.npy", np.zeros(W_DIM), {}, "must not be zero; check the file"),
    ("x.npy", np.full(W_DIM, np.nan), {}, "NaN or infinity; check the file"),
    ("x.npy", np.arange(W_DIM), {}, "an array of int64, expected float16"),
    ("x.npy", np.ones(W_DIM, complex), {}, "an array of complex128"),
    ("x.npy", np.array([{}, 1], object), {}, "an array of Python objects, which could run code"),
    (
        "x.npz",
        {"a": VECTOR, "b": VECTOR},
        {},
        "several arrays, none that is known.*choose a key: a, b",
    ),
    ("x.npz", {"a": VECTOR}, {"key": "c"}, "no array 'c'; choose a key: a"),
    ("x.npz", {"a": np.array([{}], object)}, {}, "an array of Python objects"),
    ("x.pt", {"a": torch.ones(2), "b": 1, "c": torch.ones(2)}, {}, "choose a key: a, c"),
    ("x.pt", {"a": 1}, {}, "choose a key: there is none"),
    ("x.pt", [1, 2], {}, "expected a tensor or a dict of tensors, found list"),
    ("x.pt", torch.ones(W_DIM, dtype=torch.int64), {}, "a tensor of int64, expected floats"),
    ("x.pkl", VECTOR, {}, "a bare pickle, which could run code"),
]


@pytest.mark.parametrize(("name", "content", "options", "message"), REFUSED)
def test_what_is_no_direction_is_named(
    name: str, content: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    saved(tmp_path / name, content)
    with pytest.raises(ModelFileError, match=message) as caught:
        read(tmp_path / name, **options)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)


def test_files_of_invert_need_no_import(tmp_path: Path) -> None:
    GENERATOR.sample(0).save(tmp_path / "latent.pt")
    with pytest.raises(ModelFileError, match="projected latents"):
        read(tmp_path / "latent.pt")
    save_direction(Direction("x", UNIT, 1), tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="a direction of invert needs no import"):
        read(tmp_path / "x.safetensors")


def test_arguments_that_do_not_fit_the_file_are_usage_errors(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", VECTOR)
    np.save(tmp_path / "many.npy", ROWS)
    torch.save(UNIT, tmp_path / "one.pt")
    with pytest.raises(UsageError, match="sign is 1 or -1, got 0"):
        read(tmp_path / "one.npy", sign=0)
    with pytest.raises(UsageError, match="index is 0, the file holds 1"):
        read(tmp_path / "one.npy", index=0)
    for index in (10, -1):
        with pytest.raises(
            UsageError, match=f"index is {index}, the file holds 10: expected 0 to 9"
        ):
            read(tmp_path / "many.npy", index=index)
    for name in ("one.npy", "one.pt"):
        with pytest.raises(UsageError, match="key 'w' does not apply"):
            read(tmp_path / name, key="w")


# -- damage and malice


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTOR)
    np.savez_compressed(tmp_path / "x.npz", lat_comp=VECTOR)
    for path in (tmp_path / "x.npy", tmp_path / "x.npz"):
        whole = path.read_bytes()
        for size in range(len(whole)):
            path.write_bytes(whole[:size])
            with pytest.raises(ModelFileError):
                read(path)


def test_flipped_bytes_raise_nothing_but_our_own_errors(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTOR)
    np.savez_compressed(tmp_path / "x.npz", lat_comp=VECTOR)
    for path in (tmp_path / "x.npy", tmp_path / "x.npz"):
        whole = path.read_bytes()
        for _ in range(400):
            damaged = bytearray(whole)
            damaged[int(RNG.integers(len(whole)))] = int(RNG.integers(256))
            path.write_bytes(damaged)
            with suppress(InvertError):
                read(path)


def test_sizes_that_a_file_only_claims_are_refused(tmp_path: Path) -> None:
    whole = npy(VECTOR)
    huge = whole.replace(b"(32,)", b"(10000000000,)".ljust(14))  # the header is padded with spaces
    assert len(huge) > len(whole)
    header = huge.index(b"\n")
    huge = huge[: header - 9] + huge[header:]
    (tmp_path / "x.npy").write_bytes(huge)
    with pytest.raises(
        ModelFileError, match="the header asks for 80000000000 bytes, the file has 256"
    ):
        read(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(whole + b"tail")
    with pytest.raises(ModelFileError, match="asks for 256 bytes, the file has 260"):
        read(tmp_path / "x.npy")


def test_a_zip_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as f,
    ):
        for _ in range(65):
            f.write(bytes(1 << 20))
    assert (tmp_path / "x.npz").stat().st_size < 100_000
    with pytest.raises(
        ModelFileError, match="array 'a' inflates to 68157440 bytes, the limit is 67108864"
    ):
        read(tmp_path / "x.npz")


def test_archives_that_numpy_does_not_write_are_refused(tmp_path: Path) -> None:
    for members in (["a.npy", "A.npy"], ["a.npy", "readme.txt"], [f"{k}.npy" for k in range(101)]):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            for member in members:
                archive.writestr(member, npy(VECTOR))
        twice = (tmp_path / "x.npz").read_bytes().replace(b"A.npy", b"a.npy")
        (tmp_path / "x.npz").write_bytes(twice)
        with pytest.raises(ModelFileError, match=r"not one written by numpy\.savez"):
            read(tmp_path / "x.npz")


class Payload:
    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.sentinel), "w")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.pt", "x.pkl"])
def test_code_in_a_file_is_not_run(name: str, tmp_path: Path) -> None:
    bad: Any = Payload(tmp_path / "sentinel")
    content = {".npy": np.array([bad], object), ".npz": {"lat_comp": np.array([bad], object)}}.get(
        name[1:], bad
    )
    saved(tmp_path / name, content)
    with pytest.raises(ModelFileError):
        read(tmp_path / name)
    assert not (tmp_path / "sentinel").exists()


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        read(tmp_path / "missing.npy")
    with pytest.raises(ModelFileError):
        read(tmp_path)
    with (tmp_path / "big.npy").open("wb") as f:
        f.truncate((256 << 20) + 1)
    with pytest.raises(ModelFileError, match="the limit is 268435456"):
        read(tmp_path / "big.npy")
    (tmp_path / "x.npy").write_text("<!DOCTYPE html><title>404</title>")
    with pytest.raises(ModelFileError, match="a web page"):
        read(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x03\x00" + npy(VECTOR)[8:])
    with pytest.raises(ModelFileError, match=r"numpy format 3\.0"):
        read(tmp_path / "x.npy")


# -- tables of scores


def test_a_table_of_seeds_and_latents_gives_their_vectors(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    GENERATOR.sample(5).save(tmp_path / "faces" / "a, b.pt")
    (tmp_path / "t.csv").write_text(
        '\ufeffsubject,smile\r\n\r\n3,0.5\r\n"faces/a, b.pt",-1e-3\r\n 4 , 2\r\n'
    )
    table = read_scores(tmp_path / "t.csv")
    assert table.samples == (3, tmp_path / "faces" / "a, b.pt", 4)
    assert table.scores.tolist() == [0.5, -1e-3, 2]
    expected = GENERATOR.sample([3, 5, 4]).styles
    # a batch rounds in another order
    torch.testing.assert_close(style_vectors(GENERATOR, table.samples), expected)
    torch.testing.assert_close(
        style_vectors(GENERATOR, [3], psi=0.5), GENERATOR.sample(3, psi=0.5).styles
    )


def test_latents_with_styles_per_layer_make_all_rows_so(tmp_path: Path) -> None:
    wide = GENERATOR.sample(1, space="NW+")
    wide.save(tmp_path / "wide.pt")
    companion = GENERATOR.sample(2, space="W+").styles
    projected = GENERATOR.sample(3, space="FNW5").replace(companion=Companion(companion))
    projected.save(tmp_path / "projected.pt")
    ws = style_vectors(GENERATOR, [0, tmp_path / "wide.pt", tmp_path / "projected.pt"])
    assert ws.shape == (3, GENERATOR.num_ws, W_DIM)
    assert torch.equal(ws[0], GENERATOR.sample(0, space="W+").styles[0])
    assert torch.equal(ws[1], wide.styles[0])
    assert torch.equal(ws[2], companion[0])


def test_a_point_without_companion_gets_one(tmp_path: Path) -> None:
    x = GENERATOR.sample(3, space="FNW5").replace(companion=None)
    x.save(tmp_path / "x.pt")
    made = with_companion(GENERATOR, x).companion.styles
    assert torch.equal(style_vectors(GENERATOR, [tmp_path / "x.pt"]), made)


def test_latents_without_styles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    for space, remedy in (
        ("Z", "convert it with `invert convert --space W`"),
        ("NZ", "convert it with `invert convert --space NW`"),
        ("SW+", r"project its picture into W\+"),
        ("FNW9", r"project its picture into W\+"),
    ):
        GENERATOR.sample(0, space=space).replace(companion=None).save(path)
        with pytest.raises(LatentError, match=rf"x\.pt: a latent of .* no W\+ styles; {remedy}"):
            style_vectors(GENERATOR, [path])
        if space.endswith("Z"):
            converted = GENERATOR.convert(Latent.load(path), space.replace("Z", "W"))
            converted.save(tmp_path / "w.pt")
            assert style_vectors(GENERATOR, [tmp_path / "w.pt"]).shape == (1, W_DIM)
    GENERATOR.sample([0, 1]).save(path)
    with pytest.raises(LatentError, match=r"x\.pt: holds 2 latents, expected one; save each"):
        style_vectors(GENERATOR, [path])
    small_generator(seed=1).sample(0).save(path)
    with pytest.raises(FingerprintError):
        style_vectors(GENERATOR, [path])
    with pytest.raises(UsageError, match="at least one seed or latent file"):
        style_vectors(GENERATOR, [])
    assert Latent.load(path)


def test_a_latent_of_a_table_is_refused_by_line(tmp_path: Path) -> None:
    GENERATOR.sample(0, space="Z").save(tmp_path / "z.pt")
    small_generator(seed=1).sample(0).save(tmp_path / "other.pt")
    (tmp_path / "no.pt").write_text("no latent")
    for name, kind, message in (
        ("z.pt", LatentError, r"z\.pt: a latent of Z has no W\+ styles; convert it"),
        ("other.pt", FingerprintError, r"other\.pt: expected a latent of .*load that generator"),
        ("no.pt", ModelFileError, r"no\.pt: .*"),
        ("gone.pt", ModelFileError, r"gone\.pt: no such latent file"),
    ):
        (tmp_path / "t.csv").write_text(f"latent,score\n3,0.5\n\n{name},1\n")
        table = read_scores(tmp_path / "t.csv")
        with pytest.raises(kind, match=rf"t\.csv: line 4: .*{message}"):
            style_vectors(GENERATOR, table.samples, places=table.places)


def test_a_table_of_projections_teaches_and_measures(run: Shell, network: Path) -> None:
    rows = []
    for seed in range(24):
        x = GENERATOR.sample(seed, space="FNW5")
        w = GENERATOR.sample(seed).styles
        assert isinstance(w, torch.Tensor)
        companion = w[:, None].repeat(1, GENERATOR.num_ws, 1)
        x.replace(companion=Companion(companion)).save(f"{seed}.pt")
        rows.append((seed, (w[0] @ UNIT).item()))
    Path("files.csv").write_text("".join(f"{seed}.pt,{score}\n" for seed, score in rows))
    Path("seeds.csv").write_text("".join(f"{seed},{score}\n" for seed, score in rows))
    for table in ("files", "seeds"):
        succeeded(run("directions", "learn", f"{table}.csv", "--name", table, "--network", network))
    learned, expected = (load_direction(f"{t}.safetensors") for t in ("files", "seeds"))
    torch.testing.assert_close(learned.vectors, expected.vectors, atol=1e-3, rtol=0)
    assert learned.vectors.shape == (W_DIM,)

    words = ["directions", "measure", "files.safetensors", "--network", network, "--held-out"]
    for table in ("files.csv", "seeds.csv"):
        shown = succeeded(run(*words, table)).splitlines()
        assert shown[1].startswith(f"correlation with {table}: 0.9")

    # A latent that is refused is named by its line.
    GENERATOR.sample(0, space="Z").save("z.pt")
    Path("files.csv").write_text("1,0\nz.pt,1\n2,3\n")
    refused(run(*words, "files.csv"), 2, "files.csv: line 2: z.pt: a latent of Z has no W+ styles")
    learning = ["directions", "learn", "files.csv", "--name", "y", "--network", network]
    refused(run(*learning), 2, "files.csv: line 2: z.pt: a latent of Z has no W+ styles")


BAD_TABLES = [
    ("", "no rows; expected `seed,score`"),
    ("seed,score\n", "no rows"),
    ("1,2,3\n", "line 1: expected `seed,score` or `latent file,score`, got '1,2,3'"),
    ("seed,score\n1\n", "line 2: expected `seed,score`"),
    ("1,0\n2,high\n", "line 2: expected `seed,score`.*got '2,high'"),
    (",3\n", "line 1: expected `seed,score`"),
    ("1,nan\n", "line 1: the score is nan; leave that row out"),
    ("1,0\n\n1,1\n", "line 3: 1 comes twice"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_a_bad_table_is_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_scores(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_tables_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_scores(tmp_path / "missing.csv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="not a CSV text file"):
        read_scores(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open("wb") as f:
        f.truncate((64 << 20) + 1)
    with pytest.raises(UsageError, match="larger than 64 MiB"):
        read_scores(tmp_path / "t.csv")
