"""The second stage of reading: where the generator is among the nodes of a file.

A file holds a network, or a dict, list or tuple of several, or a wrapper around one; a network is a
pickled module, a state dict (tensors by dotted name, under some prefix), or TensorFlow's. Prefixes
and wrappers are recognized by what lies under them, not by a list of their names. Where there are
several generators, the one that training averaged is taken: its key or prefix says `ema`, `avg`,
`Gs` or the like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from invert.checkpoints.checkpoint import first, unsupported
from invert.checkpoints.container import Container, holds_tensor
from invert.checkpoints.families import family_of_class, family_of_names
from invert.checkpoints.modules import (
    COUNTERS,
    WRAPPERS,
    Module,
    is_module,
    module,
    tensor_nodes,
    walk,
)
from invert.checkpoints.nodes import Call, describe, entries, foreign, is_mapping, quoted
from invert.checkpoints.safe_safetensors import NotOurs
from invert.checkpoints.source import Kind
from invert.errors import ModelFileError

MAX_DEPTH = 5  # of dicts and wrappers around a generator
MAX_VISITS = 2_000  # nodes looked into; the shallow ones first
ADA, ROSINALITY, TENSORFLOW, MOBILE = (
    "stylegan2-ada-pytorch",
    "rosinality",
    "stylegan2-tensorflow",
    "mobile-stylegan",
)
NETWORK = "dnnlib.tflib.network.Network"

# A tensor that every generator of a naming has, and what its modules are called.
_ANCHORS = {
    ADA: re.compile(r"(.*\.|)synthesis\.b4\.(?:const|conv1\.weight)"),
    ROSINALITY: re.compile(r"(.*\.|)input\.input"),
    MOBILE: re.compile(r"(.*\.|)synthesis\.layer1\.affine\.weight"),
}
_PARTS = {ADA: {"mapping", "synthesis"}, ROSINALITY: {"style", "input", "convs", "to_rgbs"}}
_AVERAGE_WORDS = {"ema", "avg", "average", "averaged"} | {
    *("smooth", "smoothed", "running", "shadow", "gs"),
}
_AVERAGE_KEYS = ("G_ema", "g_ema", "Gs")  # what they hold must be a generator
# A run of `invert train gan`: its average lacks the noise maps and the mean w.
GAN_STATE_KEYS = {"generator_adam", "discriminator", "average", "settings", "step"}


class Rank(IntEnum):
    """Which of several generators to take: the lowest rank.

    The trained one, whose average is lost, is not taken at all.
    """

    AVERAGE = 0
    ONLY = 1
    TRAINED = 2

    def below(self, key: str) -> Rank:
        """The rank of what stands under `key` of a dict of this rank."""
        if self is Rank.AVERAGE or _AVERAGE_WORDS & set(re.split(r"[._\-]", key.lower())):
            return Rank.AVERAGE
        return Rank.TRAINED if key in ("g", "G") else self


Mappings = tuple[Mapping[object, object], ...]


@dataclass(frozen=True, eq=False)
class Place:
    """A node and how it was reached; `around` are the dicts that hold it, innermost first."""

    node: object
    path: str = ""
    rank: Rank = Rank.ONLY
    around: Mappings = ()
    depth: int = 0

    def down(self, node: object, key: str, holder: Mapping[object, object], rank: Rank) -> Place:
        """The place of `node`, which stands under `key` of `holder`, one level below."""
        path = f"{self.path}.{key}".lstrip(".")
        return Place(node, path, rank, (holder, *self.around), self.depth + 1)


@dataclass(frozen=True, eq=False)
class Found:
    """A generator in a file, not yet interpreted; `naming` says how to."""

    naming: str
    place: Place
    prefix: str = ""

    def content(self) -> tuple[dict[str, object], dict[str, Module]]:
        """(nodes of tensors by name, modules by path); none of the latter for a state dict."""
        if is_module(self.place.node):
            modules = walk(module(self.place.node, ""))
            return tensor_nodes(modules), modules

        nodes: dict[str, object] = {}
        for name, node in _tensors(entries(self.place.node, "a state_dict")):
            if name.startswith(self.prefix):
                short = name[len(self.prefix) :]
                if nodes.setdefault(short, node) is not node:
                    raise ModelFileError(f"{quoted(short)} stands twice in the file; it is damaged")
        return nodes, {}


def find_generator(container: Container) -> Found:
    """The averaged generator in a file. Raises ModelFileError naming what is there instead."""
    root = container.root
    if is_mapping(root) and entries(root, "the file").keys() >= GAN_STATE_KEYS:
        raise ModelFileError(
            "expected a network, got the state of a run of `invert train gan`; take the "
            ".safetensors file beside the run's folder"
        )
    search = _Search(root)
    rank = min((found.place.rank for found in search.candidates), default=None)
    problems = sorted(search.problems, key=lambda problem: problem[0].rank)

    # No average: what stands in its place, and cannot be read, is the reason.
    if rank is not Rank.AVERAGE:
        for place, error in problems:
            certain = rank is not Rank.ONLY or place.path in _AVERAGE_KEYS
            if place.rank is Rank.AVERAGE and certain:
                raise error
        _check_averages(root)

    # None at all: what cannot be read elsewhere is the reason.
    if rank is None:
        raise _nothing(container, [error for _, error in problems])
    if rank is Rank.TRAINED:
        raise _average_missing(root)

    best = [found for found in search.candidates if found.place.rank is rank]
    if len(best) > 1:
        paths = (f"{found.place.path}.{found.prefix}".strip(".") for found in best)
        places = first(path or "the top" for path in paths)
        raise ModelFileError(
            f"several generators, and no telling which to take ({places}); save one of them alone"
        )
    return best[0]


class _Search:
    """All generators in a file, and what looked like one and why it is none."""

    def __init__(self, root: object) -> None:
        self.candidates: list[Found] = []
        self.problems: list[tuple[Place, ModelFileError]] = []
        waiting = [Place(root)]
        for _ in range(MAX_VISITS):
            if not waiting:
                break
            place = waiting.pop(0)
            if place.depth <= MAX_DEPTH:
                try:
                    waiting.extend(self.visit(place))
                except ModelFileError as error:  # it matters only where nothing better is found
                    self.problems.append((place, error))

    def visit(self, place: Place) -> list[Place]:
        """Look at one node; the places below it that are still to be looked at."""
        node = place.node
        if isinstance(node, Call) and f".{node.function}".endswith(f".{NETWORK}"):
            self.candidates.append(Found(TENSORFLOW, place))
            return []
        if is_module(node):
            return self.module(place)
        if is_mapping(node):
            return self.mapping(place)
        if isinstance(node, (tuple, list)) and len(node) == 3:  # (G, D, Gs) or [G, D, G_ema]
            return [place.down(node[2], "2", {}, Rank.AVERAGE)]
        return []

    def module(self, place: Place) -> list[Place]:
        """A pickled module is a generator, wraps one, or is neither."""
        part = module(place.node, "")
        nodes = part.entries("_modules")
        children = {name: child for name, child in nodes.items() if child is not None}

        # A generator, of another family or of one that is read.
        if family := family_of_class(part.class_name):
            raise unsupported(family)
        for naming, parts in _PARTS.items():
            if parts <= children.keys():
                self.candidates.append(Found(naming, place))
                return []

        # Another module, which may wrap one.
        what = f"a {quoted(part.class_name)} without StyleGAN2's mapping and synthesis modules"
        if part.source is None and isinstance(place.node, Call):
            what += f" (the pickle names {quoted(str(place.node.function))}; it was not imported)"
        self.problems.append((place, unsupported(what)))
        return [
            place.down(child, name, part.state, _rank_inside(place, name))
            for name, child in children.items()
        ]

    def mapping(self, place: Place) -> list[Place]:
        """A dict is a state dict with a generator under some prefix, or holds other things."""
        node = entries(place.node, "a dict")

        # Generators by their anchors: prefix → naming.
        names = [name for name, _ in _tensors(node)]
        prefixes = {
            match[1]: naming
            for name in names
            for naming, anchor in _ANCHORS.items()
            if (match := anchor.fullmatch(name))
        }
        part_of_another = any(prefix.endswith("backbone.") for prefix in prefixes)
        if part_of_another and (family := family_of_names(names)):
            raise unsupported(family)
        for prefix, naming in prefixes.items():
            rank = _rank_inside(place, prefix)
            inside = Place(node, place.path, rank, (node, *place.around), place.depth)
            self.candidates.append(Found(naming, inside, prefix))
        if prefixes:
            return []

        # Another network, or a dict of several.
        if names:
            self.problems.append((place, _no_generator(names, place)))
        return [
            place.down(child, key, node, place.rank.below(key))
            for key, child in node.items()
            if isinstance(key, str) and not holds_tensor(child)
        ]


def _rank_inside(place: Place, name: str) -> Rank:
    """The rank below an attribute or prefix, where `G` may be the only one, unlike a key `G`."""
    return Rank.AVERAGE if place.rank.below(name) is Rank.AVERAGE else place.rank


def _tensors(node: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    """(name, node) of the tensors of a state dict, without what wrappers put into the names.

    `mapping` and `synthesis` may be state dicts of their own.
    """
    for key, value in node.items():
        if not isinstance(key, str):
            continue
        below = entries(value, key) if key in _PARTS[ADA] and is_mapping(value) else {"": value}
        for name, tensor in below.items():
            if isinstance(name, str) and holds_tensor(tensor):
                path = f"{key}.{name}" if name else key
                if path.split(".")[-1] in COUNTERS:
                    continue
                yield ".".join(part for part in path.split(".") if part not in WRAPPERS), tensor


def _no_generator(names: list[str], place: Place) -> ModelFileError:
    if family := family_of_names(names):
        return unsupported(family)
    if place.path.split(".")[-1] == "state_dict":
        return unsupported(f"a network with no decoder or other generator (it has {first(names)})")
    return unsupported(f"a network with {first(names)}")


def _check_averages(root: object) -> None:
    """Raise ModelFileError where a key that promises the average holds something else."""
    for key in _AVERAGE_KEYS:
        node = entries(root, "the file").get(key) if is_mapping(root) else None
        if node is not None:
            raise foreign(node, key) or ModelFileError(
                f"{key} should be built by torch_utils.persistence._reconstruct_persistent_obj, "
                f"or be a state_dict; this is {describe(node)}, not a dict of tensors"
            )


def _average_missing(root: object) -> ModelFileError:
    items = entries(root, "the file") if is_mapping(root) else {}
    keys = [key for key in items if isinstance(key, str)]
    name = "G_ema" if "G" in keys else "g_ema"
    held = first(keys) or "nothing of the kind"
    return ModelFileError(
        f"{name}, the averaged generator, is missing (found {held}); export a file with {name}"
    )


def _nothing(container: Container, problems: list[ModelFileError]) -> ModelFileError:
    """The error for a file in which nothing is a generator."""
    root = container.root

    # A safetensors file is a dict of tensors and nothing else.
    if container.kind is Kind.SAFETENSORS:
        family = family_of_names(name for name, _ in _tensors(entries(root, "the file")))
        return unsupported(family) if family else NotOurs()

    # What looked like a generator, or an object of a class that is not known.
    if problems:
        return problems[0]
    if error := foreign(root, "the file"):
        return error

    # Containers of networks, without one.
    if is_mapping(root):
        return _average_missing(root)
    if isinstance(root, tuple) and len(root) == 3:
        return unsupported(f"a tuple whose Gs is {describe(root[2])}")
    what = "a pickle" if container.kind is Kind.PICKLE else container.kind.value
    more = "; TensorFlow files hold (G, D, Gs)" if isinstance(root, tuple) else ""
    return unsupported(f"{what} of {describe(root)}{more}")
