"""Whatever stands in a latent file, reading it gives a latent or one line with the reason."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import small_generator

from edits.canvas import Placement, place
from invert.describe import describe
from invert.errors import InvertError, ModelFileError
from invert.latents.companion import Companion
from invert.latents.latent import Latent

GENERATOR = small_generator(32)
CONDITIONAL = small_generator(32, c_dim=3)
CASES = 20  # per test; more were tried by hand


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value += [value, value]
    return value


VALUES: list[Any] = [
    None, True, 0, -1, 1, 10**30, 0.5, float("nan"), "", "W", "FNW5", "FNW99999",
    "FNW" + "9" * 5000, "x" * 100_000,
    "a\nb\x1b[31mred", "\ud800", "ＷＷ", [], [1, [2]], {}, {"a": {"b": [1]}}, {1: 2}, (1, 2),
    torch.zeros(2, 3),
    torch.tensor(1), nested(50), nested(900), endless(), torch.float32, {"styles": 1}, ["styles"],
]  # fmt: skip
DTYPES = [
    torch.int64, torch.bool, torch.complex64, torch.uint8, torch.float16, torch.bfloat16,
    torch.float64,
    torch.float8_e4m3fn,
]  # fmt: skip


def originals() -> list[Latent]:
    """Points with every part that there is."""
    f = GENERATOR.sample([0, 1], space="FNW5")
    assert f.companion is not None
    assert f.features is not None
    assert f.rgb is not None
    canvas = place(GENERATOR, (24, 16), [Placement(f[0]), Placement(f[1], (8, 0))])
    placed = canvas.replace(
        companion=Companion(
            torch.zeros(1, 2, GENERATOR.num_ws, GENERATOR.w_dim),
            torch.tensor([[[0.0, 0.0], [8.0, 0.0]]]),
        )
    )
    return [
        GENERATOR.sample(0),
        GENERATOR.sample(0, space="NSW+"),
        f.replace(companion=f.companion.replace(origin=f.origin())),
        placed,
        GENERATOR.sample(0, space="FNZ8"),
        CONDITIONAL.sample(0, label=1, space="Z"),
    ]


ORIGINALS = originals()


def mutated_tensor(t: torch.Tensor, r: random.Random) -> Any:
    if t.ndim == 0:
        return t[None]
    axis = r.randrange(t.ndim)
    changes: list[Callable[[], Any]] = [
        lambda: t.to(r.choice(DTYPES)),
        lambda: t[None],
        lambda: t.flatten(),
        lambda: t.sum(),
        lambda: t.narrow(axis, 0, 0),
        lambda: t.narrow(axis, 0, 1),
        lambda: torch.cat([t, t], axis),
        lambda: t.transpose(0, axis),
        lambda: t[:1].repeat_interleave(1000, -1),
        lambda: t * r.choice([float("nan"), float("inf"), -1, 1e30]),
        lambda: t + 0.5,
        lambda: torch.zeros([0] * r.randrange(5)),
        lambda: r.choice(VALUES),
    ]
    return r.choice(changes)()


def mutate(header: dict[Any, Any], tensors: dict[Any, Any], r: random.Random) -> None:
    """One change in place."""
    what = r.randrange(8)
    key = r.choice(sorted(header))
    name = r.choice(sorted(k for k in tensors if isinstance(k, str)))
    value = tensors[name]
    if what == 0:
        header[key] = r.choice(VALUES)
    elif what == 1:
        header["metadata"] = {r.choice(["generator", "image", "edits", "x"]): r.choice(VALUES)}
    elif what == 2:
        header["space"] = r.choice(
            ["Z", "NZ", "W", "NW", "W+", "NSW+", "FW1", "FNW5", "FSW5", "FNZ3", "FNW8", "FNSW8"]
        )
    elif what == 3:
        del tensors[name]
    elif what == 4:
        del tensors[name]
        names = [
            "styles",
            "styles.0",
            "styles.1",
            "noise.00",
            "features",
            "origin.5",
            "places",
            "companion.0",
            "",
            "ü\n",
        ]
        tensors[r.choice(names)] = value
    elif what == 5:
        tensors[
            r.choice(
                ["styles", "styles.0", "noise.0", "origin.0", "rgb", "label", "places", "companion"]
            )
        ] = value
    else:
        tensors[name] = (
            mutated_tensor(value, r) if isinstance(value, torch.Tensor) else r.choice(VALUES)
        )
    if not tensors:
        tensors["styles"] = torch.zeros(1, 3)


def parts_of(latent: Latent, path: Path) -> tuple[dict[Any, Any], dict[Any, Any]]:
    latent.save(path)
    content = torch.load(path, weights_only=True)
    return content, content.pop("tensors")


def outcome(path: Path) -> str:
    """What reading came to: "latent", "fits" where it renders too, or the reason why not."""
    try:
        latent = Latent.load(path)
    except ModelFileError as error:
        reason = str(error)
        assert reason.startswith(str(path))
        assert reason.isprintable()
        assert len(reason) < 500 + len(str(path))
        return reason
    json.dumps(describe(path))
    for generator in (GENERATOR, CONDITIONAL):
        try:
            image = generator.render(generator.adopt(latent))
        except InvertError as error:
            reason = str(error)
        else:
            assert image.shape[:2] == (len(latent), 3)
            return "fits"
        assert reason.isprintable()
    return "latent"


@pytest.mark.parametrize("seed", range(12))
def test_mutated_torch_files_are_latents_or_one_line(seed: int, tmp_path: Path) -> None:
    r = random.Random(seed)
    for k in range(CASES):
        header, tensors = parts_of(ORIGINALS[(seed + k) % len(ORIGINALS)], tmp_path / "a.pt")
        for _ in range(r.choice([1, 1, 1, 2, 3])):
            mutate(header, tensors, r)
        content: Any = {**header, "tensors": tensors if r.random() < 0.95 else r.choice(VALUES)}
        if r.random() < 0.03:
            content[r.choice([5, (), None])] = 1
        try:
            torch.save(content, tmp_path / "x.pt")
        except (UnicodeEncodeError, RecursionError):
            continue  # no file comes of it
        outcome(tmp_path / "x.pt")


@pytest.mark.parametrize("seed", range(12))
def test_mutated_safetensors_files_are_latents_or_one_line(seed: int, tmp_path: Path) -> None:
    r = random.Random(seed)
    for k in range(CASES):
        ORIGINALS[(seed + k) % len(ORIGINALS)].save(tmp_path / "a.safetensors")
        data = (tmp_path / "a.safetensors").read_bytes()
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        for _ in range(r.choice([1, 1, 2])):
            mutate_head(head, r)
        text = json.dumps(head).encode()
        if r.random() < 0.1:
            place = r.randrange(len(text))
            text = text[:place] + bytes([r.randrange(256)]) + text[place + 1 :]
        (tmp_path / "x.safetensors").write_bytes(
            len(text).to_bytes(8, "little") + text + data[8 + size :]
        )
        outcome(tmp_path / "x.safetensors")


def mutate_head(head: dict[str, Any], r: random.Random) -> None:
    """One change of what the header says of the tensors, or of our object in its metadata."""
    plain = [v for v in VALUES if not isinstance(v, (torch.Tensor, torch.dtype)) and is_json(v)]
    names = [k for k in head if k != "__metadata__"]
    what = r.randrange(6)
    if what == 0 and isinstance(head.get("__metadata__"), dict):
        head["__metadata__"]["invert"] = r.choice(
            ["", "{", "[]", "3", "null", "nonsense", "[" * 5000, '{"format": 1}']
        )
    elif what == 1:
        head["__metadata__"] = r.choice(plain)
    elif what == 2 and names:
        entry = head[r.choice(names)]
        if isinstance(entry, dict):
            entry[r.choice(["dtype", "shape", "data_offsets"])] = r.choice(
                [*plain, "I64", "F8_E4M3", "BOOL", [0], [1, -1], [2**62, 4]]
            )
    elif what == 3 and names:
        head[r.choice(["styles", "styles.0", "noise.0", "a\nb", "", "features"])] = head.pop(
            r.choice(names)
        )
    elif what == 4 and names:
        head[r.choice(names)] = r.choice(plain)
    elif isinstance(head.get("__metadata__"), dict):
        text = head["__metadata__"].get("invert")
        content = (
            json.loads(text)
            if isinstance(text, str) and text.startswith('{"f')
            else {"format": "invert-latent"}
        )
        if isinstance(content, dict):
            content[r.choice(["format", "version", "space", "fingerprint", "metadata"])] = r.choice(
                plain
            )
            head["__metadata__"]["invert"] = json.dumps(content)


def is_json(value: Any) -> bool:
    try:
        return isinstance(json.dumps(value), str)
    except (TypeError, ValueError, RecursionError):
        return False


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_cut_and_flipped_files_are_latents_or_one_line(suffix: str, tmp_path: Path) -> None:
    r = random.Random(0)
    ORIGINALS[2].save(tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    for _ in range(3 * CASES):
        changed = bytearray(data)
        for _ in range(r.choice([1, 4])):
            changed[r.randrange(min(len(data), r.choice([200, 4000, 10**9])))] = r.randrange(256)
        (tmp_path / f"x{suffix}").write_bytes(
            changed[: r.choice([len(data), r.randrange(len(data))])]
        )
        outcome(tmp_path / f"x{suffix}")


def test_originals_are_read() -> None:
    assert [len(x) for x in ORIGINALS] == [1, 1, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metadata": {"x": (1, 2)}}, "metadata is no JSON: it holds a tuple"),
        ({"metadata": {"x": torch.zeros(1)}}, "metadata is no JSON: it holds a Tensor"),
        ({"metadata": {3: 4}}, "metadata is no JSON: it holds a dict"),
        ({"metadata": {"x": endless()}}, "metadata of more than 100000 values"),
        ({"metadata": {"image": "a.png"}}, "expected a dict as 'image' in metadata, got str"),
        ({"space": 5}, "expected the name of a space as text, got int"),
        ({"version": torch.ones(2)}, "latent format"),
        ({"fingerprint": "a\nb"}, "fingerprint is missing, or is no fingerprint"),
        ({"tensors": {5: torch.zeros(1, 3)}}, "expected names of tensors as text, got int"),
        ({"tensors": {"styles": torch.zeros(0, 32)}}, "at least one point"),
        ({"tensors": {"styles": torch.zeros(())}}, "needs styles"),
        (
            {"tensors": {"styles": torch.zeros(1, 32), "styles.0": torch.zeros(1, 32)}},
            "both 'styles' and 'styles.0'",
        ),
    ],
)
def test_what_a_file_lacks_is_named(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    header, tensors = parts_of(ORIGINALS[0], tmp_path / "x.pt")
    torch.save({**header, "tensors": tensors, **changes}, tmp_path / "x.pt")
    assert reason in outcome(tmp_path / "x.pt")


def test_an_empty_map_is_refused(tmp_path: Path) -> None:
    header, tensors = parts_of(GENERATOR.sample(0, space="FNSW5"), tmp_path / "x.pt")
    tensors["styles.1"] = torch.zeros(1, GENERATOR.w_dim, 0, 0)
    torch.save({**header, "tensors": tensors}, tmp_path / "x.pt")
    assert "one value in every part, got [1, 32, 0, 0]" in outcome(tmp_path / "x.pt")
