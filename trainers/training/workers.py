"""The workers of one fit: who am I, how many are we, and what we tell each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Workers:
    """One of `size` workers; alone by default. What all must take part in, all must call in the same order."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    watched: bool = False
    """Whether it ends itself where its training hangs, for somebody to start it again."""
    beat: Callable[[], None] = lambda: None
    """To be called at every step of a training: whoever watches over it sees that it goes on."""

    @classmethod
    def of_ray(cls) -> Workers:
        """This worker as Ray Train numbers it; to be called inside a training function."""
        import ray.train
        import ray.train.torch

        context = ray.train.get_context()
        return cls(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())

    def share(
        self, windows: npt.NDArray[np.int64], edges: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """This worker's windows of a batch: neighbours in the packed log, so that each worker reads about its own share
        of the users and all have equally many.

        Args:
            edges: [size + 1] where workers have their own users' rows alone, worker r has the windows
                `edges[r]:edges[r + 1]`, and takes those of them that are in the batch: as many as chance will have it.
        """
        if self.size == 1:
            return windows
        if edges is not None:
            mine = (windows >= edges[self.rank]) & (windows < edges[self.rank + 1])
            return np.asarray(windows[mine])
        share: npt.NDArray[np.int64] = np.array_split(np.sort(windows), self.size)[self.rank]
        return share

    def sum(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The sum of everybody's array, the same on every worker."""
        if self.size == 1:
            return array
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
        dist.all_reduce(tensor)
        summed: npt.NDArray[Any] = tensor.cpu().numpy()
        return summed

    def first(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The array of worker 0, on every worker."""
        return self.sum(array if self.rank == 0 else np.zeros_like(array))

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Everybody's tensor by rank, on the CPU; all of one shape."""
        if self.size == 1:
            return [tensor.cpu()]
        mine = tensor.to(self.device)
        everybody = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(everybody, mine)
        return [each.cpu() for each in everybody]

    def lengths(self, mine: int) -> list[int]:
        """Everybody's number, by rank."""
        numbers: list[int] = self.sum(np.eye(self.size, dtype=np.int64)[self.rank] * mine).tolist()
        return numbers

    def joined(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Everybody's array [n], each of its own length, one after another by rank."""
        if self.size == 1:
            return array
        lengths = self.lengths(len(array))
        padded = np.zeros(max(lengths), array.dtype)
        padded[: len(array)] = array
        everybody = self.gather(torch.from_numpy(padded))
        return np.concatenate([each.numpy()[:n] for each, n in zip(everybody, lengths, strict=True)])

    def union(self, numbers: torch.Tensor) -> torch.Tensor:
        """The different numbers that any worker has, ascending."""
        mine: torch.Tensor = torch.unique(numbers)
        if self.size == 1:
            return mine
        count = max(self.lengths(len(mine)))
        padded = torch.cat((mine, mine[-1:].expand(count - len(mine))))
        everybody = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(everybody, padded)
        all_of_them: torch.Tensor = torch.unique(torch.cat(everybody))
        return all_of_them


ALONE = Workers()
"""The one worker of a fit in this process."""
