"""What all terms that are trained by gradient share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainers.curves.choices import SCOPES
from trainers.curves.learning import of_history
from trainers.encoders.base import Array, Encoder, EncoderSettings, Scores, Split
from trainers.factors import Factor
from trainers.forgetting import Forgetting, ForgettingSettings
from trainers.histories import Histories
from trainers.log import DAY, TrainingData
from trainers.storage.saved import shaped
from trainers.training.optimise import OptimiseSettings

if TYPE_CHECKING:
    from trainers.networks.habit import Habit
    from trainers.networks.network import Network
    from trainers.training.workers import Workers

BLOCK_EVENTS = 32_768  # events scored at once
PRIOR_GAPS = 5.0  # an item's interval counts as many gaps of the common interval beside its own


class OwnLogits(BaseModel):
    """`{age: true, rank: true, calendar: true, renewal: true}`: `own` with learned retention, trained in the same
    logits as the term; what each factor is, `trainers.networks.habit.Habit` says.

    Attributes:
        age: retention by age in days.
        rank: by age in later moments.
        calendar: whether the time of day and the kind of day match.
        renewal: around each item's own interval.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    age: bool = True
    rank: bool = True
    calendar: bool = False
    renewal: bool = False

    def build(self, items: int) -> Habit:
        from trainers.networks.habit import Habit  # torch takes seconds to import

        return Habit(items, age=self.age, rank=self.rank, calendar=self.calendar, renewal=self.renewal)


class NeuralSettings(EncoderSettings):
    """What every neural term says of itself beside its own structure.

    Attributes:
        dim: the size of an item's embedding e(item).
        dropout: the share of units left out in training.
        max_history: a moment reads so many of the latest events before it.
        own: learned retention of the user's own items in the same logits, or none.
        training: how it is pretrained.
    """

    dim: int = Field(64, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    max_history: int = Field(100, ge=1)
    own: OwnLogits | None = None
    training: OptimiseSettings = OptimiseSettings()

    reads_weights: ClassVar[bool] = False
    """Whether the network counts events by the column `weight`."""

    @model_validator(mode="after")
    def _weights_are_read(self) -> Self:
        if self.weights and not self.reads_weights:
            raise ValueError(
                f"`weights` of `{self.kind}` must be false, since its network does not read them; take `mlp` or `vae`."
            )
        return self

    def without_forgetting(self) -> Self:
        change: dict[str, Any] = {
            "forgetting": ForgettingSettings(),
            "training": self.training.without_forgetting(),
        }
        if self.own:
            change["own"] = OwnLogits(age=False, rank=False)
        return self.model_copy(update=change)


class AgedSettings(NeuralSettings):
    """What a term says whose network reads ages beside its forgetting function.

    Attributes:
        ages: whether the network reads the age of the last event and, where it attends, the events' positions. Without
            forgetting it does not: a control that read them would forget by other means.
    """

    ages: bool = True

    def without_forgetting(self) -> Self:
        return super().without_forgetting().model_copy(update={"ages": False})


class Neural(Encoder):
    """A network with its parameters; `trainers.training.loop` trains it."""

    module: Network
    settings: NeuralSettings

    def __init__(self, settings: Any, items: int) -> None:
        super().__init__(settings, items)
        self.module = self.build(settings.own.build(items) if settings.own else None)

    @abstractmethod
    def build(self, own: Habit | None) -> Network:
        """The network, its parameters drawn anew."""

    @classmethod
    def needs_everybody(cls, settings: Any) -> bool:
        return settings.forgetting.scope in SCOPES

    def begin(
        self, data: TrainingData, *, repeats: bool = True, seed: int = 0, workers: Workers | None = None
    ) -> None:
        """What is counted before training: each item's bias is the logarithm of its popularity, its interval, and how
        much longer the groups of the curve's scope remember: gradients would overfit those of small groups."""
        import torch

        with torch.no_grad():
            log = np.log(popularity(data, workers) + 1.0)
            self.module.bias.copy_(torch.from_numpy(log - log.mean()))
            if self.module.own is not None:
                self.module.own.log_interval.copy_(torch.from_numpy(log_intervals(data, workers)))
        if self.settings.forgetting.scope in SCOPES:
            _, factors = of_history(self.settings.forgetting, data, repeats=repeats, seed=seed)
            if factors is not None:
                self.module.set_stretch(torch.from_numpy(factors))

    def curves(self) -> dict[str, Forgetting]:
        return self.module.curves()

    def factors(self) -> list[Factor]:
        return [] if self.module.own is None else self.module.own.factors()

    def score(self, histories: Histories) -> Scores:
        import torch

        from trainers.sequences import Batch

        self.module.eval()
        device = self.module.bias.device
        scores = np.empty((len(histories), self.items), np.float32)
        recent, scope = histories.latest(self.settings.max_history), self.settings.forgetting.scope
        order = np.argsort(np.diff(recent.offsets), kind="stable")
        lengths = np.diff(recent.offsets)[order]
        with torch.inference_mode():
            for part in _blocks(lengths):
                index = order[part]
                batch = Batch.of_histories(recent.at_queries(index), self.settings.max_history, scope).to(
                    device
                )
                scores[index] = self.module(batch).logits().cpu().numpy()
        return scores

    def split(self, histories: Histories, column: int, score: float) -> Split:
        """With `own`, gain·log1p(Σ left) of the user's events of the item, each by its part of Σ left; the rest is the
        network's, which no event adds to by itself."""
        whole = super().split(histories, column, score)
        if self.module.own is None:
            return whole
        import torch

        from trainers.sequences import Batch

        most = self.settings.max_history
        with torch.inference_mode():
            batch = Batch.of_histories(histories.latest(most), most).to(self.module.bias.device)
            read = self.module.own.left(batch)[0, 0].double().cpu().numpy()
            gain = self.module.own.gain.item()
        left = np.zeros(len(histories.columns))
        left[max(len(left) - most, 0) :] = read[: len(left)]
        left[histories.columns != column] = 0.0
        total = left.sum()
        events = left * (gain * np.log1p(total) / total if total else 0.0)
        return Split(events, left, score - float(events.sum()))

    def state(self) -> dict[str, Array]:
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.module.state_dict().items()}

    def load(self, state: dict[str, Array]) -> None:
        import torch

        tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        stretch = tensors.get("stretch")
        # As many as the log has groups: the settings do not say.
        if stretch is not None and stretch.ndim == 1:
            self.module.set_stretch(stretch[:-1])
        wanted = {name: tuple(tensor.shape) for name, tensor in self.module.state_dict().items()}
        shaped(f"the term `{self.settings.label}`", state, wanted)
        self.module.load_state_dict(tensors)


def _blocks(lengths: npt.NDArray[np.int64]) -> list[slice]:
    """Ascending lengths cut into blocks of at most `BLOCK_EVENTS` padded events (or of one history)."""
    blocks, start = [], 0
    while start < len(lengths):
        sizes = np.maximum(lengths[start:], 1) * np.arange(1, len(lengths) - start + 1)
        count = max(int(np.searchsorted(sizes, BLOCK_EVENTS, side="right")), 1)
        blocks.append(slice(start, start + count))
        start += count
    return blocks


def popularity(data: TrainingData, workers: Workers | None = None) -> npt.NDArray[np.float64]:
    """[I] training events of each item; where each of the `workers` has only its users' rows, they add up."""
    columns = data.column[data.log.items[data.rows_of(data.users)]]
    return _over_all(np.bincount(columns, minlength=len(data.catalogue)), data, workers)


def log_intervals(data: TrainingData, workers: Workers | None = None) -> npt.NDArray[np.float64]:
    """[I] the mean log of the days between two moments at which one user had the item, drawn towards the mean of all
    items as by `PRIOR_GAPS` gaps more; 0 where nobody had anything twice."""
    rows = data.rows_of(data.users)
    users = data.log.users_of(rows)
    columns = data.column[data.log.items[rows]]
    order = np.lexsort((data.log.times[rows], columns, users))
    days = data.log.times[rows[order]] / DAY
    gaps = np.diff(days)
    pairs = (np.diff(users[order]) == 0) & (np.diff(columns[order]) == 0) & (gaps > 0)
    log_gaps, items = np.log(gaps[pairs]), columns[order][1:][pairs]
    summed, counts = (
        _over_all(np.bincount(items, each, minlength=len(data.catalogue)), data, workers)
        for each in (log_gaps, None)
    )
    common = summed.sum() / counts.sum() if counts.any() else 0.0
    return np.asarray((summed + PRIOR_GAPS * common) / (counts + PRIOR_GAPS))


def _over_all(sums: npt.NDArray[Any], data: TrainingData, workers: Workers | None) -> npt.NDArray[np.float64]:
    """Sums over the users whose rows are here, as sums over all."""
    sums = sums.astype(np.float64)
    return sums if data.held is None or workers is None else workers.sum(sums)
