"""A network that is too large for one worker: each has a share of every parameter."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from trainers.networks.network import Network
from trainers.training.spread import Spread, State


class Sharded(Spread):
    """Every worker has its share of every parameter (FSDP2, Zhao et al. 2023); a step gathers them and frees them.

    What has no axis cannot be dealt out: everybody has it, and its gradient is added up here."""

    def place(self) -> Network:
        return copy.deepcopy(self.encoder.module)  # sharding cannot be undone

    def wrap(self) -> nn.Module:
        self.mesh = init_device_mesh(self.workers.device.type, (self.workers.size,))
        single = {parameter for parameter in self.network.parameters() if not parameter.ndim}
        fully_shard(self.objective, mesh=self.mesh, ignored_params=single)
        return self.objective

    @property
    def sharded(self) -> FSDPModule:
        assert isinstance(self.objective, FSDPModule)
        return self.objective

    def summed(self, last: bool) -> AbstractContextManager[None]:
        self.sharded.set_requires_gradient_sync(last)
        return nullcontext()

    def clip(self) -> float:
        parameters = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
        single = [parameter for parameter in parameters if not parameter.ndim]
        rest = [parameter for parameter in parameters if parameter.ndim]
        for parameter in single:
            assert parameter.grad is not None
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= self.workers.size
        norms = [_norm(group) for group in (single, rest) if group]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        for group in (single, rest):
            clip_grads_with_norm_(group, self.settings.clip, norm)
        return float(norm)

    def whole(self, state: State) -> State:
        return {
            name: self._gathered(state[name], tensor) for name, tensor in self.network.state_dict().items()
        }

    def part(self, state: State) -> State:
        return {
            name: self.mine(_dealt(state[name], tensor)).cpu()
            for name, tensor in self.network.state_dict().items()
        }

    def mine(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to_local() if isinstance(tensor, DTensor) else tensor

    def _gathered(self, tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        if not isinstance(like, DTensor):
            return tensor
        there = tensor.to(self.workers.device)
        return (
            DTensor.from_local(there, self.mesh, like.placements, shape=like.shape, stride=like.stride())
            .full_tensor()
            .cpu()
        )

    def optimiser_state(self) -> dict[str, Any]:
        state = self.optimiser.state_dict()
        state["state"] = {
            number: {name: _full(value) for name, value in values.items()}
            for number, values in state["state"].items()
        }
        return state

    def load_optimiser(self, state: dict[str, Any]) -> None:
        parameters = [each for group in self.optimiser.param_groups for each in group["params"]]
        state["state"] = {
            number: {
                name: _dealt(value, parameters[number]) if name != "step" else value
                for name, value in values.items()
            }
            for number, values in state["state"].items()
        }
        self.optimiser.load_state_dict(state)

    def judged(self) -> None:
        self.sharded.reshard()


def _norm(parameters: list[nn.Parameter]) -> torch.Tensor:
    norm = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _full(value: Any) -> Any:
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def _dealt(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """As `like` is dealt out; every worker has the whole `value` and takes its own part."""
    if not isinstance(like, DTensor):
        return value
    there = value.to(like.device)
    return distribute_tensor(there, like.device_mesh, like.placements, src_data_rank=None)
