"""The simulated device refuses what CUDA refuses, and computes what the CPU does."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from simulated_device import DEVICE, SimTensor, simulated_device
from torch import Tensor, nn

DEVICE_MIX = "Expected all tensors to be on the same device"


@pytest.fixture(autouse=True)
def device() -> Iterator[torch.device]:
    with simulated_device() as device:
        yield device


def cpu(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def sim(*shape: int) -> Tensor:
    return cpu(*shape).to("sim")


MIXED: dict[str, Callable[[], object]] = {
    "add": lambda: sim(3) + cpu(3),
    "add to": lambda: cpu(3).add_(sim(3)),
    "a scalar takes from the device": lambda: torch.tensor(1.0).add_(sim(3).sum()),
    "a number of the device": lambda: cpu(3) * sim(3).sum(),
    "matmul": lambda: sim(2, 3) @ cpu(3, 2),
    "cat": lambda: torch.cat([sim(3), cpu(3)]),
    "stack": lambda: torch.stack([sim(1)[0], cpu(1)[0]]),
    "lerp": lambda: torch.lerp(sim(3), cpu(3), 0.5),
    "where": lambda: torch.where(cpu(3) > 0, sim(3), sim(3)),
    "convolution": lambda: F.conv2d(sim(1, 2, 4, 4), cpu(3, 2, 3, 3)),
    "bias of a convolution": lambda: F.conv2d(sim(1, 2, 4, 4), sim(3, 2, 3, 3), cpu(3)),
    "linear": lambda: F.linear(sim(2, 3), cpu(4, 3)),
    "loss": lambda: F.mse_loss(sim(3), cpu(3)),
    "index_select": lambda: sim(3).index_select(0, torch.tensor([0])),
    "scatter": lambda: sim(1, 3).scatter(1, torch.tensor([[0]]), 1.0),
    "values of an index": lambda: sim(3).index_put((torch.tensor([0, 1]),), cpu(2)),
    "grid_sample": lambda: F.grid_sample(sim(1, 1, 4, 4), cpu(1, 2, 2, 2), align_corners=False),
    "out": lambda: torch.add(sim(3), sim(3), out=cpu(3)),
    "equal": lambda: torch.equal(sim(3), cpu(3)),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixing_devices_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match=DEVICE_MIX):
        MIXED[name]()


def test_indices_of_the_device_do_not_index_into_the_cpu() -> None:
    with pytest.raises(RuntimeError, match="indices should be on cpu or on the device"):
        cpu(3)[torch.tensor([0, 1]).to("sim")]


def test_a_random_generator_of_the_cpu_does_not_fill_the_device() -> None:
    generator = torch.Generator()
    for draw in (torch.rand, torch.randn):
        with pytest.raises(RuntimeError, match="Expected a 'sim' generator"):
            draw(3, device="sim", generator=generator)
    with pytest.raises(RuntimeError, match="Expected a 'sim' generator"):
        sim(3).normal_(generator=generator)
    assert torch.randn(3, generator=generator).device.type == "cpu"


def test_numpy_has_to_be_asked_from_the_cpu() -> None:
    for convert in (lambda: sim(3).numpy(), lambda: np.asarray(sim(3))):
        with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
            convert()
    assert sim(3).cpu().numpy().tolist() == cpu(3).tolist() == sim(3).tolist()


ALLOWED: dict[str, Callable[[], object]] = {
    "a number of the CPU": lambda: sim(3) * torch.tensor(2.0),
    "filled with one": lambda: sim(3).fill_(torch.tensor(2.0)),
    "masked with one": lambda: sim(3).masked_fill(sim(3) > 0, torch.tensor(2.0)),
    "indices of the CPU": lambda: sim(3)[torch.tensor([0, 2])],
    "a mask of the CPU": lambda: sim(3)[torch.tensor([True, False, True])],
    "copies": lambda: sim(3).copy_(cpu(3)),
    "indices of the device": lambda: sim(3).index_select(0, torch.tensor([0]).to("sim")),
    "made there": lambda: torch.tensor([1.0, 2.0], device="sim"),
    "made like": lambda: sim(3).new_tensor([1.0, 2.0]),
    "counted": lambda: torch.arange(3, device="sim"),
    "identity": lambda: torch.eye(3, device="sim"),
    "spread": lambda: torch.linspace(0, 1, 5, device="sim"),
    "shuffled": lambda: torch.randperm(5, device="sim"),
    "random": lambda: torch.randn(3, device="sim"),
    "pooled to one cell": lambda: F.adaptive_avg_pool2d(
        sim(1, 2, 4, 4).contiguous(memory_format=torch.channels_last), 1
    ),
    "in inference mode": lambda: inference(lambda: (sim(3) * 2).clone()),
    "autocast": lambda: autocast(lambda: F.linear(sim(2, 3), sim(4, 3))),
}


def inference(function: Callable[[], Tensor]) -> Tensor:
    with torch.inference_mode():
        return function()


def autocast(function: Callable[[], Tensor]) -> Tensor:
    with torch.autocast("sim", torch.bfloat16):
        return function()


@pytest.mark.parametrize("name", ALLOWED)
def test_what_cuda_allows_stays_on_the_device(name: str) -> None:
    result = ALLOWED[name]()
    assert isinstance(result, SimTensor)
    assert str(result.device) == "sim:0"


def test_results_are_those_of_the_cpu_and_writing_into_a_view_reaches_its_base() -> None:
    x, weight = cpu(2, 3, 8, 8), cpu(4, 3, 3, 3)
    assert torch.equal(F.conv2d(x.to("sim"), weight.to("sim")).cpu(), F.conv2d(x, weight))
    there = x.to("sim")
    there[:, 1:, ::2] += 1
    x[:, 1:, ::2] += 1
    assert torch.equal(there.cpu(), x)
    blocks = F.pixel_unshuffle(there[:, :, 1:7, 1:7], 2)
    blocks = blocks.contiguous(memory_format=torch.channels_last)
    assert blocks.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(blocks.cpu(), F.pixel_unshuffle(x[:, :, 1:7, 1:7], 2))


def test_gradients_are_those_of_the_cpu() -> None:
    def gradients(x: Tensor) -> list[Tensor]:
        w = cpu(3, 3).to(x.device).requires_grad_()
        x = x.clone().requires_grad_()
        y = (x @ w).clone()
        y[:, 1:] *= 2  # in place, through a view
        (y.square().mean() + torch.nn.functional.leaky_relu(y, 0.2).sum()).backward()
        return [t.grad for t in (x, w) if t.grad is not None]

    expected, found = gradients(cpu(2, 3)), gradients(sim(2, 3))
    assert all(isinstance(t, SimTensor) for t in found)
    assert all(torch.equal(a, b.cpu()) for a, b in zip(expected, found, strict=True))


def test_modules_move_copy_train_and_are_saved() -> None:
    def trained(device: str) -> dict[str, Tensor]:
        # No bias before batch norm: its gradient is rounding, which Adam would enlarge.
        layers = [nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten()]
        model = nn.Sequential(*layers, nn.Linear(16, 2))
        weights = {k: cpu(*t.shape).abs().to(t.dtype) for k, t in model.state_dict().items()}
        model.load_state_dict(weights)
        model = copy.deepcopy(model.to(device))
        adam = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(2):
            adam.zero_grad()
            model(cpu(2, 3, 4, 4).to(device)).square().sum().backward()
            adam.step()
        return {k: t.detach() for k, t in model.state_dict().items()}

    expected, found = trained("cpu"), trained("sim")
    assert {t.device.type for t in found.values()} == {"sim"}
    file = io.BytesIO()
    torch.save(found, file)
    file.seek(0)
    for name, t in torch.load(file, map_location="cpu", weights_only=True).items():
        assert torch.allclose(t.cpu(), expected[name], atol=1e-4)  # the CPU has its own batch norm


def test_reads_by_the_cpu_are_counted() -> None:
    x = sim(3)
    DEVICE.host_reads.clear()
    x.sum()
    assert not DEVICE.host_reads
    x.sum().item()
    bool((x > 0).all())
    x.cpu()
    x.tolist()
    assert sum(DEVICE.host_reads.values()) == 4
    assert DEVICE.host_reads["aten::_local_scalar_dense"] == 2


def test_float64_can_be_missing_as_on_mps() -> None:
    assert sim(3).double().dtype == torch.float64
    with simulated_device(float64=False):
        for convert in (
            lambda: sim(3).double(),
            lambda: torch.zeros(3, dtype=torch.float64, device="sim"),
            lambda: sim(3).to("sim", torch.float64),
            lambda: torch.arange(3, device="sim", dtype=torch.float64),
        ):
            with pytest.raises(TypeError, match="doesn't support float64"):
                convert()
        assert sim(3).cpu().double().to("sim", torch.float32).dtype == torch.float32


def test_torch_knows_the_device_and_whether_it_is_there(device: torch.device) -> None:
    assert torch.device("sim:0") == device
    assert torch.get_device_module("sim").is_available()


def test_what_it_was_before_comes_back() -> None:
    with simulated_device(float64=False):
        assert not DEVICE.float64
    assert DEVICE.float64
    assert DEVICE.present


def test_shapes_cannot_change_in_place() -> None:
    with pytest.raises(NotImplementedError, match="changes a shape in place"):
        sim(2, 3).t_()
