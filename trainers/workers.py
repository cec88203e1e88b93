"""The workers of one fit: who am I, how many are we, and sums over all of us."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Workers:
    """One of `size` workers; alone by default."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def of_ray(cls) -> Workers:
        """This worker as Ray Train numbers it; to be called inside a training function."""
        import ray.train
        import ray.train.torch

        context = ray.train.get_context()
        return cls(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())

    def sum(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The sum of everybody's array, the same on every worker. Everybody must call it, in the same order."""
        if self.size == 1:
            return array
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
        dist.all_reduce(tensor)
        summed: npt.NDArray[Any] = tensor.cpu().numpy()
        return summed


ALONE = Workers()
"""The one worker of a fit in this process."""
