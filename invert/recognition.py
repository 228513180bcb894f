"""What kind of file this is, by its content: one of ours, or one that people bring along.

Nothing in a file is imported, called or executed.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from invert.checkpoints.layout import GAN_STATE_KEYS
from invert.checkpoints.safe_safetensors import (
    NotOurs,
    load_foreign_safetensors,
    load_safetensors,
)
from invert.checkpoints.safe_torch import load_tensors_from
from invert.checkpoints.source import Kind as Container
from invert.checkpoints.source import naming, read_file, sniff
from invert.errors import ImageError, InvertError, ModelFileError
from invert.files.file_kinds import ALIKE, FileKind, shown
from invert.files.image_headers import check_headers
from invert.files.image_kinds import FORMATS, PLUGINS, image_kind
from invert.files.numpy_files import NPY_MAGIC, ZIP_MAGIC, NpzArchive, read_npy


@dataclass(frozen=True)
class Recognized:
    """A kind, and what was read to tell it: metadata, tensors, arrays by key, a picture's head."""

    kind: FileKind
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Any]


FORMATS_OF_OURS = {
    "invert-latent": FileKind.LATENT,
    "invert-direction": FileKind.DIRECTION,
    "invert-moments": FileKind.MOMENTS,
}
ARCHITECTURES_OF_OURS = {
    "stylegan2": FileKind.CHECKPOINT,
    "mobile-stylegan": FileKind.CHECKPOINT,
    "attribute-model": FileKind.ATTRIBUTE_MODEL,
    "encoder": FileKind.ENCODER,
}
REPORT_KEYS, HISTORY_KEYS = {"space", "generator", "settings", "metrics"}, {"held_out", "step"}
GAN_HISTORY_KEYS = {"generator", "discriminator", "step"}, {"fd_vgg16", "step"}  # of either line
TRAINING_KEYS = {"fingerprint", "layer", "settings", "step", "model", "average", "optimizer"}
# Where other projects keep points of W and W+: NVIDIA's projectors, e4e, pSp and their relatives.
POINT_KEYS = {"w", "ws", "w_plus", "dlatents", "dlatent", "latent", "latents", "projected_w"}
# Where they keep directions: GANSpace (of W, then of activations), its export by e4e, SeFa.
DIRECTION_KEYS = {"lat_comp", "act_comp", "comp", "eigvec"}
HEAD_BYTES = 1 << 16
OTHERS_OF_OURS = (
    *(b"invert-latent", b"invert-direction", b"invert-moments"),
    *(b"attribute-model", b'\\"encoder\\"'),
)
NO_CHECKPOINT = "expected the checkpoint of a generator"
MAX_TEXT = 1 << 20
MAX_NUM_WS = 20  # of a 2048 px StyleGAN2
VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"OggS")


def recognize(path: Path) -> Recognized | None:
    """What the file is; None for what only the checkpoint readers can tell, or nobody.

    Raises :class:`ModelFileError` (`PATH: what; hint`) for a file that cannot be read, is damaged
    or hostile.
    """
    with naming(path):
        data = read_file(path)
        for recognizer in (picture, numpy_file, wheel, text_file):
            if (found := recognizer(data)) is not None:
                return found

        container = sniff(data)
        if container is Container.SAFETENSORS:
            return safetensors_file(data)
        if container in (Container.TORCH_ZIP, Container.TORCH_STREAM):
            return torch_file(data, container)
    return None


@contextmanager
def expecting(kind: FileKind, path: str | os.PathLike[str], what: str = "") -> Iterator[None]:
    """Inside, the refusal of a sound file of another kind says what it is, and where it belongs.

    `what` is what the reader says of such files; by default its own words up to the hint.
    """
    try:
        yield
    except (ModelFileError, ImageError) as error:
        found = other_kind(kind, Path(path))
        if found is None:
            raise
        name = shown(Path(path))
        refused = what or str(error).removeprefix(f"{name}: ").partition("; ")[0]
        what = f"{refused}, {found.clause}; {found.use(Path(path))}"
        raise type(error)(f"{name}: {what}") from None


def refuse_other_files(path: Path) -> None:
    """Raise :class:`ModelFileError` for a latent or another file of ours where a checkpoint is
    expected.

    Looks at the first bytes only, unless they are those of such a file.
    """
    with expecting(FileKind.CHECKPOINT, path, NO_CHECKPOINT):
        if is_other_file(path) and other_kind(FileKind.CHECKPOINT, path) is not None:
            raise ModelFileError(f"{shown(path)}: {NO_CHECKPOINT}")


def is_other_file(path: Path) -> bool:
    """Whether the first bytes say that the file is a latent or another file of ours, not a
    checkpoint.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return True
    return any(mark in head for mark in OTHERS_OF_OURS)


def other_kind(kind: FileKind, path: Path) -> FileKind | None:
    """The kind of the file, where it is known and another one."""
    try:
        found = recognize(path)
    except InvertError:
        return None
    if found is None or found.kind in (kind, *ALIKE.get(kind, ())):
        return None
    return found.kind


# -- one function per container: what is in it, or None for another container


def picture(data: bytes) -> Recognized | None:
    """A picture or a video, by its first bytes; the header is parsed, pixels are not."""
    from PIL import Image

    kind = image_kind(data)
    avi = data[:4] == b"RIFF" and data[8:12] == b"AVI "
    if kind == "a video" or avi or data.startswith(VIDEO_STARTS):
        return Recognized(FileKind.VIDEO, {}, {})
    Image.init()
    claims = [
        name
        for name in FORMATS
        if (accept := Image.OPEN[name][1] if name in Image.OPEN else None) and accept(data[:16])
    ]
    if not claims and kind not in PLUGINS:
        return None

    # The header of a picture. Its problem is told, unless two letters were all that spoke for one.
    metadata: dict[str, Any] = {"format": kind if kind in PLUGINS else claims[0]}
    try:
        check_headers("the picture", data)
        with Image.open(io.BytesIO(data), formats=claims or None) as image:
            metadata |= {"format": image.format, "size": list(image.size), "mode": image.mode}
            metadata["frames"] = getattr(image, "n_frames", 1)
    except Exception as error:  # decoders raise nearly every type there is
        if kind not in PLUGINS and claims in (["PPM"], ["BMP"]):
            return None  # two letters are no proof
        metadata["problem"] = " ".join(str(error).split())[:120] or type(error).__name__
    return Recognized(FileKind.PICTURE, metadata, {})


def numpy_file(data: bytes) -> Recognized | None:
    """Arrays of a `.npy` or `.npz` file."""
    if data.startswith(NPY_MAGIC):
        found = {"": read_npy(data)}
        container = "npy"
    elif data.startswith(ZIP_MAGIC) and is_npz(data):
        archive = NpzArchive(data)
        if are_weights(archive.names):
            raise ModelFileError("a NumPy archive of a network's weights; save its state_dict")
        found = {name: archive.read(name) for name in archive.names}
        container = "npz"
    else:
        return None

    # Arrays of vectors are latents; others are of no use.
    if (recognized := arrays(found, container)) is None:
        shapes = ", ".join(str(list(array.shape)) for array in list(found.values())[:4])
        raise ModelFileError(f"arrays {shapes}, none of vectors; save [w_dim] or [num_ws, w_dim]")
    return recognized


def are_weights(names: Iterable[str]) -> bool:
    """Whether these are names of a network's parameters."""
    return any(name.endswith((".weight", ".bias")) for name in names)


def is_npz(data: bytes) -> bool:
    """Whether a zip holds nothing but `.npy` files."""
    names = zip_names(data)
    return bool(names) and all(name.endswith(".npy") for name in names)


def wheel(data: bytes) -> Recognized | None:
    """A wheel is a zip with a folder NAME-VERSION.dist-info."""
    names = zip_names(data) if data.startswith(ZIP_MAGIC) else []
    packages = {name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info")}
    if len(packages) != 1:
        return None
    package = packages.pop().removesuffix(".dist-info")
    return Recognized(FileKind.WHEEL, {"package": package, "files": len(names)}, {})


def zip_names(data: bytes) -> list[str]:
    """The names in a zip; none where it cannot be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
        return []


def text_file(data: bytes) -> Recognized | None:
    """Reports and training histories are JSON, tables of scores CSV."""
    head = data[:1].strip()
    if len(data) > MAX_TEXT or not head.isascii() or b"\0" in data:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    lines = [line for line in text.splitlines() if line.strip()]

    # JSON: a report is one object, a history one object per line.
    for source in (text, lines[0] if lines else ""):
        try:
            content = json.loads(source)
        except (ValueError, RecursionError):
            continue
        if not isinstance(content, dict):
            continue
        if content.keys() >= REPORT_KEYS:
            return Recognized(FileKind.REPORT, content, {})
        if content.keys() >= HISTORY_KEYS:
            return Recognized(FileKind.HISTORY, {"lines": len(lines), "first": content}, {})
        if any(content.keys() >= keys for keys in GAN_HISTORY_KEYS):
            return Recognized(FileKind.GAN_HISTORY, {"lines": len(lines), "first": content}, {})

    # CSV: two columns, the second of numbers, perhaps with a header.
    rows = [line.split(",") for line in lines]
    if len(rows) and all(len(row) == 2 for row in rows) and is_number(rows[-1][1]):
        return Recognized(FileKind.SCORES, {"rows": len(rows) - (not is_number(rows[0][1]))}, {})
    return None


def is_number(text: str) -> bool:
    """Whether `float` reads the text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def safetensors_file(data: bytes) -> Recognized | None:
    """A file of ours, by the metadata that all of them have; None for one that we did not write."""
    try:
        metadata, tensors = load_safetensors(data)
    except NotOurs:
        return distributions(data)
    kind = FORMATS_OF_OURS.get(str(metadata.get("format"))) or ARCHITECTURES_OF_OURS.get(
        str(metadata.get("architecture"))
    )
    if kind is None:
        known = isinstance(metadata.get("details"), dict) and "architecture" in metadata
        kind = FileKind.WEIGHTS if known else None
    return None if kind is None else Recognized(kind, metadata, tensors)


def distributions(data: bytes) -> Recognized | None:
    """The cache of a generator's values of F_i and R_i: the one file of ours without metadata."""
    tensors = load_foreign_safetensors(data)
    flat = all(t.ndim == 1 for t in tensors.values())
    if flat and "features" in tensors and tensors.keys() <= {"features", "rgb"}:
        return Recognized(FileKind.DISTRIBUTIONS, {}, tensors)
    return None


def torch_file(data: bytes, container: Container) -> Recognized | None:
    """A latent, a training state or arrays; None for a checkpoint and for other objects."""
    try:
        content = load_tensors_from(data, container)
    except ModelFileError:
        return None  # the checkpoint readers know more classes, and say what is wrong

    # Ours by their keys, then those of rosinality's projector.
    if isinstance(content, Mapping):
        if content.get("format") == "invert-latent":
            return Recognized(FileKind.LATENT, content, {})
        if content.keys() >= TRAINING_KEYS:
            metadata = {k: content[k] for k in ("fingerprint", "layer", "step", "settings")}
            return Recognized(FileKind.TRAINING, metadata, {})
        if content.keys() >= GAN_STATE_KEYS:
            metadata = {k: content.get(k) for k in ("step", "seconds", "start", "settings")}
            return Recognized(FileKind.GAN_TRAINING, metadata, {})
        if content and all(is_projected(v) for v in content.values()):
            points = {str(name): v["latent"] for name, v in content.items()}
            noise = {str(name): v.get("noise") for name, v in content.items()}
            metadata = {"format": "rosinality projector", "noise": noise}
            return Recognized(FileKind.POINTS, metadata, points)

    return arrays(tensors_of(content), "torch.save")


def is_projected(value: object) -> bool:
    """Whether it is what rosinality's projector writes for a picture."""
    return isinstance(value, Mapping) and isinstance(value.get("latent"), Tensor)


def tensors_of(content: object) -> dict[str, Tensor]:
    """The tensors by key of what torch.save wrote; empty for a state dict."""
    if isinstance(content, Tensor):
        return {"": content}
    if isinstance(content, (list, tuple)) and all(isinstance(t, Tensor) for t in content):
        return {str(k): t for k, t in enumerate(content)}
    if not isinstance(content, Mapping):
        return {}
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if set(tensors) & (POINT_KEYS | DIRECTION_KEYS):
        return tensors
    alone = not any(isinstance(v, Mapping) for v in content.values())  # no network beside it
    return tensors if len(tensors) == 1 and alone and not are_weights(tensors) else {}


def arrays(found: Mapping[str, Any], container: str) -> Recognized | None:
    """Points, directions, or vectors that may be either; None where nothing looks like vectors."""
    vectors = [t for t in found.values() if 1 <= t.ndim <= 4 and t.shape[-1] > 1]
    if not vectors:
        return None
    layered = all(t.ndim >= 3 and 1 < t.shape[-2] <= MAX_NUM_WS for t in vectors)  # one w per layer
    if set(found) & DIRECTION_KEYS:
        kind = FileKind.DIRECTIONS
    else:
        kind = FileKind.POINTS if layered or set(found) & POINT_KEYS else FileKind.VECTORS
    return Recognized(kind, {"format": container}, found)
