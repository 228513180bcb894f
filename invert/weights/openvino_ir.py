"""Constants of an OpenVINO intermediate representation (IR v10), read without OpenVINO.

An IR is two files: an XML graph, and a flat blob of little-endian constants that the graph points
into by byte offset. Only float32 constants are of interest here; an operation is known by its name.

The XML is parsed with the standard library's ElementTree. That is not safe on hostile input (entity
expansion), and need not be: :func:`invert.weights.ensure` has compared the SHA-256 of the file that
holds it before anything is parsed. Offsets and sizes are checked all the same, so that a mistake
reads as a message.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np

from invert.errors import ModelFileError

FLOAT32_BYTES = 4


def read_constants(xml: bytes, blob: bytes, *, source: str) -> dict[str, np.ndarray]:
    """The first float32 constant operand of every operation, by the operation's name.

    `source` names the file in messages. Raises ModelFileError when the XML is not an IR graph, or
    when a constant does not lie inside `blob` or disagrees with its own shape.
    """
    try:
        # Operations by id, and edges from operand to operation in the order of the inputs.
        root = ElementTree.fromstring(xml)
        layers = {layer.attrib["id"]: layer for layer in root.iterfind("layers/layer")}
        edges = sorted(
            (edge.attrib["to-layer"], int(edge.attrib["to-port"]), edge.attrib["from-layer"])
            for edge in root.iterfind("edges/edge")
        )

        constants: dict[str, np.ndarray] = {}
        for target, _, origin in edges:
            data = layers[origin].find("data")
            if layers[origin].attrib["type"] != "Const" or data is None:
                continue
            if data.get("element_type") != "f32":
                continue
            name = layers[target].attrib["name"]
            if name not in constants:
                constants[name] = _read_constant(data, blob, f"{source}: constant of {name}")
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ModelFileError(
            f"{source}: not an OpenVINO IR graph ({error!r}); get the file again"
        ) from error
    return constants


def _read_constant(data: ElementTree.Element, blob: bytes, what: str) -> np.ndarray:
    shape = tuple(int(extent) for extent in data.attrib["shape"].split(",") if extent.strip())
    offset, size = int(data.attrib["offset"]), int(data.attrib["size"])
    if min(shape, default=0) < 0 or size != math.prod(shape) * FLOAT32_BYTES:
        raise ModelFileError(f"{what} has shape {list(shape)} but {size} bytes; get the file again")
    if offset < 0 or offset + size > len(blob):
        raise ModelFileError(
            f"{what} lies at bytes {offset}..{offset + size}, the blob has {len(blob)}; "
            "get the file again"
        )
    return np.frombuffer(blob, "<f4", math.prod(shape), offset).reshape(shape).astype(np.float32)
