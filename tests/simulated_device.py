"""A second device without a GPU: its tensors compute on the CPU, and refuse to mix with the CPU's.

    with simulated_device() as device:
        generator = load_generator(path, device=device)  # what mixes devices raises RuntimeError

To torch it is a backend called "sim": `torch.device("sim")` knows it, and while the context lasts
`torch.get_device_module("sim").is_available()` says that it is there. With `float64=False` it
refuses float64, as MPS does.

The rules are CUDA's. Operands lie on one device, except that a CPU tensor without dimensions goes
with everything elementwise, that CPU tensors may index into the device, and that copies go
anywhere. A random generator belongs to the device that it fills. What the CPU has to wait for is
counted (`Device.host_reads`). Its module has graphs as torch.cuda does (:mod:`simulated_graphs`).

Limits: operations that change a tensor's shape in place are refused. There is one device, sim:0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import simulated_graphs
import torch
from simulated_graphs import GRAPHS
from torch import Tensor
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "sim"
aten = torch.ops.aten

COPIES = {aten._to_copy, aten.copy_, aten._copy_from}  # from any device to any other
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
TAKES_NUMBERS = {aten.fill_, aten.masked_fill, aten.masked_fill_, aten.index_put, aten.index_put_}
READS = {aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten.nonzero}  # the CPU waits
SEQUENCES = (
    *("arange", "arange.start", "arange.start_step"),
    *("eye", "eye.m", "linspace", "logspace", "randperm"),
)
WIDE = {torch.float64, torch.complex128}


class Device:
    """What torch asks of a device's module, and what tests ask of the device."""

    def __init__(self) -> None:
        self.present = False
        self.float64 = True
        self.host_reads: Counter[str] = Counter()  # operation → how often the CPU waited for it

    def is_available(self) -> bool:
        return self.present

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return int(self.present)

    def current_device(self) -> int:
        return 0

    def get_device_name(self, device: object = None) -> str:
        return "simulated"

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def manual_seed_all(self, seed: int) -> None:
        pass

    def _is_in_bad_fork(self) -> bool:
        return False

    # Streams and graphs, under the names that torch.cuda has.
    CUDAGraph = simulated_graphs.SimGraph
    Stream = simulated_graphs.SimStream
    graph = staticmethod(simulated_graphs.graph)
    graph_pool_handle = staticmethod(object)
    stream = staticmethod(simulated_graphs.stream)
    device = staticmethod(nullcontext)

    def current_stream(self, device: object = None) -> simulated_graphs.SimStream:
        return GRAPHS.stream

    def synchronize(self, device: object = None) -> None:
        GRAPHS.refuse("synchronize")


DEVICE = Device()
LIBRARIES: list[torch.library.Library] = []  # what they registered goes when they go


class SimTensor(Tensor):
    """A tensor on sim:0, whose values are those of the CPU tensor `memory`."""

    memory: Tensor

    @staticmethod
    def __new__(cls, memory: Tensor) -> SimTensor:
        t = torch.Tensor._make_wrapper_subclass(
            cls,
            memory.shape,
            strides=memory.stride(),
            storage_offset=memory.storage_offset(),
            dtype=memory.dtype,
            layout=memory.layout,
            device=torch.device(NAME, 0),
        )
        t.memory = memory
        return t

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # elsewhere autograd has taken them apart already
            result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return compute(func, args, kwargs)

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert sim:0 tensor to numpy. Use Tensor.cpu() to copy it first.")

    def tolist(self) -> Any:
        GRAPHS.refuse("aten::tolist")
        DEVICE.host_reads["aten::tolist"] += 1
        return self.memory.tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:  # torch.save
        rebuild = torch._utils._rebuild_device_tensor_from_cpu_tensor
        return rebuild, (self.memory, self.dtype, str(self.device), self.requires_grad)

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"SimTensor({self.memory!r})"


def compute(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The operation on the memories of its tensors, once it is known that a GPU would do it."""
    tensors: list[Tensor] = []
    memories = [memory_of(value, tensors) for value in args]
    named = {name: memory_of(value, tensors) for name, value in kwargs.items()}
    wanted = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
    check_devices(func, args, tensors)
    check_generator(func, kwargs.get("generator"), wanted)
    if wanted is not None:
        named["device"] = "cpu"
    count_read(func, args, wanted)
    if GRAPHS.recording is not None:
        check_recordable(func, args, tensors, wanted)
        result = GRAPHS.recording.run(func, memories, named)
    else:
        result = func(*memories, **named)

    # What it wrote into is given back as it came; what it made lies where it was wanted, else here.
    written = {id(t.memory if type(t) is SimTensor else t): t for t in tensors}
    with torch.inference_mode(False):  # views of wrappers cannot be inference tensors
        return given_back(func, result, written, wanted is None or wanted == NAME)


def memory_of(value: Any, tensors: list[Tensor]) -> Any:
    """An argument with memories in place of tensors, which are appended to `tensors`."""
    if isinstance(value, Tensor):
        tensors.append(value)
        if type(value) is SimTensor:
            return value.memory
        return value if GRAPHS.recording is None else value.clone()  # frozen
    if isinstance(value, (list, tuple)):
        return [memory_of(v, tensors) for v in value]
    return value


def given_back(func: Any, result: Any, written: Mapping[int, Tensor], on_device: bool) -> Any:
    """The result with tensors of the device in place of memories."""
    if isinstance(result, (list, tuple)):
        return type(result)(given_back(func, r, written, on_device) for r in result)
    if not isinstance(result, Tensor):
        return result
    if result._is_zerotensor():  # of forward differentiation; it has no memory
        result = torch.zeros(result.shape, dtype=result.dtype)
    known = written.get(id(result))
    if known is None:
        return SimTensor(checked_dtype(result)) if on_device else result
    if layout(known) != layout(result):
        raise NotImplementedError(f"{func.name()} changes a shape in place: not simulated")
    return known


def layout(t: Tensor) -> tuple[torch.Size, list[int]]:
    """Its shape, and its strides where there is more than one step to make."""
    return t.shape, [step for step, side in zip(t.stride(), t.shape, strict=True) if side > 1]


def check_devices(func: Any, args: Sequence[Any], tensors: Sequence[Tensor]) -> None:
    """Raise RuntimeError, in CUDA's words, unless the operands lie where CUDA wants them."""
    strangers = [t for t in tensors if type(t) is not SimTensor]
    packet = func.overloadpacket
    if not strangers or packet in COPIES:
        return
    if packet in INDEXING:
        indices = {id(t) for t in args[1]}
        if type(args[0]) is not SimTensor:
            raise RuntimeError("indices should be on cpu or on the device of the indexed tensor")
        strangers = [t for t in strangers if id(t) not in indices]
    if packet in TAKES_NUMBERS or torch.Tag.pointwise in func.tags:
        target = args[0] if func._schema.is_mutable else None
        strangers = [t for t in strangers if t.dim() > 0 or t is target]
    if strangers:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{NAME}:0 and cpu! (in {func.name()})"
        )


def check_generator(func: Any, generator: torch.Generator | None, wanted: str | None) -> None:
    """Raise RuntimeError where a random generator of the CPU would fill a tensor of the device."""
    if generator is None or wanted == "cpu":
        return
    if (kind := generator.device.type) != NAME:
        raise RuntimeError(f"Expected a '{NAME}' generator but found '{kind}' ({func.name()})")


def checked_dtype(t: Tensor) -> Tensor:
    """The tensor. Raises TypeError, in the words of MPS, for a precision that the device lacks."""
    if t.dtype in WIDE and not DEVICE.float64:
        raise TypeError(
            f"Cannot convert a {NAME} Tensor to float64 dtype as the {NAME} framework "
            "doesn't support float64. Please use float32 instead."
        )
    return t


def count_read(func: Any, args: Sequence[Any], wanted: str | None) -> None:
    """Count what makes the CPU wait: a number that is read, or a copy to the CPU."""
    packet = func.overloadpacket
    to_cpu = wanted == "cpu" or (packet is aten.copy_ and type(args[0]) is not SimTensor)
    if packet in READS or to_cpu:
        GRAPHS.refuse(func.name())
        DEVICE.host_reads[func.name()] += 1


def check_recordable(
    func: Any, args: Sequence[Any], tensors: Sequence[Tensor], wanted: str | None
) -> None:
    """Raise RuntimeError where a recorded operation waits, or reads the CPU beyond a number."""
    masks = args[1] if func.overloadpacket in INDEXING else ()
    if any(t is not None and t.dtype in (torch.bool, torch.uint8) for t in masks):
        GRAPHS.refuse(f"{func.name()} by a mask")
    if any(type(t) is not SimTensor and t.dim() > 0 for t in tensors):
        GRAPHS.refuse(f"{func.name()} of a tensor of the CPU")


def register() -> None:
    """Tell torch of the device, once in a process and before its first backward pass."""
    if LIBRARIES:
        return
    _setup_privateuseone_for_python_backend(NAME, DEVICE)
    every, some = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    LIBRARIES.extend((every, some))
    every.fallback(lambda func, *args, **kwargs: compute(func, args, kwargs), "PrivateUse1")
    every.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")  # changes nothing

    # By default torch makes these empty and then changes their shape.
    for name in SEQUENCES:
        some.impl(name, partial(compute_by_name, name), "PrivateUse1")

    # `torch.tensor(…, device=…)` allocates and copies below the level of fallbacks.
    some.impl("empty_strided", empty_strided, "PrivateUse1")
    some.impl("_copy_from", copy_from, "PrivateUse1")


def compute_by_name(name: str, *args: Any, **kwargs: Any) -> Any:
    packet, _, overload = name.partition(".")
    return compute(getattr(getattr(aten, packet), overload or "default"), args, kwargs)


def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> SimTensor:
    return SimTensor(checked_dtype(torch.empty_strided(size, stride, dtype=dtype)))


def copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    GRAPHS.refuse("a copy between the CPU and the device")
    values = source.memory if isinstance(source, SimTensor) else source
    (target.memory if isinstance(target, SimTensor) else target).copy_(values)
    return target


@contextmanager
def simulated_device(*, float64: bool = True) -> Iterator[torch.device]:
    """The device while it is there."""
    register()
    before = DEVICE.present, DEVICE.float64
    DEVICE.present, DEVICE.float64 = True, float64
    # `Module.to(dtype)` makes new parameters: to set `data` would leave a wrapper's memory behind.
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    DEVICE.host_reads.clear()
    try:
        yield torch.device(NAME, 0)
    finally:
        DEVICE.present, DEVICE.float64 = before
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
