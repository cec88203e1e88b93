"""How a neural term is optimised; pretraining and fine-tuning each have such settings of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainers.forgetting import ForgettingSettings
from trainers.training.changes import Change, LossCurve, check_order, in_force

if TYPE_CHECKING:
    import torch


class LossSettings(BaseModel):
    """`{kind: sampled, negatives: 512}`: what is minimised, averaged over the items of a moment.

    Attributes:
        kind: `full`, the likelihood under a softmax over the whole catalogue; `sampled`, the same over the moment's
            items and sampled ones, corrected for how often each is sampled (logQ, Bengio & Senécal 2008); `gbce`,
            generalised binary cross-entropy (gSASRec, Petrov & Macdonald 2023); `bpr`, pairwise ranking (Rendle et al.
            2009).
        negatives: items sampled a batch, shared by its moments: by popularity for `sampled`, evenly for the others.
        calibration: gBCE's t between 0 (plain cross-entropy, overconfident) and 1 (calibrated).
        sparse: a step reads, shares and moves only the rows of items that it touches, with the moments of Adam kept
            by row (`torch.optim.SparseAdam`): for large catalogues. Rows that a step does not touch neither decay nor
            go on by momentum.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["full", "sampled", "gbce", "bpr"] = "full"
    negatives: int = Field(256, ge=1)
    calibration: float = Field(0.75, ge=0, le=1)
    sparse: bool = False

    @model_validator(mode="after")
    def _some_items(self) -> LossSettings:
        if self.sparse and self.kind == "full":
            raise ValueError(
                "`sparse: true` needs a loss that reads some items only, but `full` reads all; take `kind: sampled`."
            )
        return self


class OptimiseSettings(BaseModel):
    """Optimiser, rate, loss, and when to stop.

    Attributes:
        optimiser: `adamw` (Loshchilov & Hutter 2019) or `sgd` (with momentum 0.9).
        rate: the learning rate, reached after `warmup` steps.
        schedule: whether it then stays (`constant`) or falls in a straight line to a tenth by the last of `epochs`.
        decay_rate: the rate of the parameters of forgetting functions (learned curves, states of `recurrent`, `own`
            logits) is so many times `rate`; at 0 they stay where they begin.
        weight_decay: of matrices; decoupled for `adamw`, in the gradient for `sgd`.
        clip: the gradient's norm is at most this.
        batch: training moments a step, over all workers together.
        epochs: the most passes over the training moments.
        patience: stop after so many epochs without a better likelihood on validation.
        average: the parameters that are kept are a running average, of which each step keeps this share; 0 for none.
        loss: what is minimised.
        overlap: windows of training events that follow each other have this share of `max_history` in common. With 1 a
            moment of training reads no less than a query does; with 0 the first moments of a window read little, and an
            epoch takes less time, most of all where histories are long.
        by_items: a moment with n items counts n to this power in the loss; 0: all moments alike, 1: all items alike.
        forgetting: each training moment is weighted in the loss by the retention of its age at the cut.
        changes: what of all this is otherwise from some epoch on, as `[{after: 3, rate: 0.004}]`: a schedule that
            population based training found, or one made by hand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimiser: Literal["adamw", "sgd"] = "adamw"
    rate: float = Field(0.001, gt=0)
    schedule: Literal["constant", "linear"] = "constant"
    warmup: int = Field(0, ge=0)
    decay_rate: float = Field(1.0, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    batch: int = Field(256, ge=1)
    epochs: int = Field(20, ge=1)
    patience: int = Field(3, ge=1)
    average: float = Field(0.0, ge=0, lt=1)
    loss: LossSettings = LossSettings()
    overlap: float = Field(1.0, ge=0, le=1)
    by_items: float = Field(0.0, ge=0, le=1)
    forgetting: LossCurve = ForgettingSettings()
    changes: tuple[Change, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> OptimiseSettings:
        check_order(self.changes, self.epochs)
        return self

    @model_validator(mode="after")
    def _sparse(self) -> OptimiseSettings:
        if self.loss.sparse and (self.optimiser != "adamw" or self.average):
            raise ValueError(
                "`loss.sparse` needs `optimiser: adamw` and `average: 0`, which move rows one by one, but got "
                f"({self.optimiser}, {self.average})."
            )
        return self

    def without_forgetting(self) -> Self:
        """The same with every training moment counted alike, however old, from the first epoch to the last."""
        changes = (change.without_forgetting() for change in self.changes)
        kept = tuple(change for change in changes if change is not None)
        return self.model_copy(update={"forgetting": ForgettingSettings(), "changes": kept})

    def after(self, epochs: int) -> Self:
        """As it stands in the epoch that follows so many, its changes left as they are."""
        force = in_force(self.changes, epochs)
        return self.model_copy(update={name: force[name] for name in force if name != "dropout"})

    def dropout_after(self, epochs: int) -> float | None:
        """The dropout of that epoch, where a change has made it another than the term's."""
        return in_force(self.changes, epochs).get("dropout")

    def build(
        self,
        parameters: Iterable[torch.nn.Parameter],
        fading: Iterable[torch.nn.Parameter] = (),
        *,
        over_workers: bool = False,
    ) -> torch.optim.Optimizer:
        """The optimiser of these parameters, of which `steer` sets the rates; `fading` are those among them that say
        how interest fades; `over_workers` deals its state out among all workers."""
        import torch  # here, so that reading a configuration does not wait for it

        # A learned curve has more axes than a matrix: decay would pull its half-life towards one day. What has no axis
        # is never sharded, and an optimiser takes in either kind at once.
        fades = {id(parameter) for parameter in fading}
        groups: dict[tuple[bool, int], dict[str, Any]] = {}
        for parameter in parameters:
            mine, axes = id(parameter) in fades, 2 if parameter.ndim == 2 else min(parameter.ndim, 1)
            shrinks = axes == 2 and not mine
            group = groups.setdefault(
                (mine, axes),
                {
                    "params": [],
                    "weight_decay": self.weight_decay * shrinks,
                    "shrinks": shrinks,
                    "fades": mine,
                },
            )
            group["params"].append(parameter)
        adamw = self.optimiser == "adamw"
        kind: type[torch.optim.Optimizer] = torch.optim.AdamW if adamw else torch.optim.SGD
        more: dict[str, Any] = {"lr": self.rate, **({"fused": True} if adamw else {"momentum": 0.9})}
        if over_workers:
            from torch.distributed.optim import ZeroRedundancyOptimizer

            return ZeroRedundancyOptimizer(list(groups.values()), kind, **more)
        return kind(list(groups.values()), **more)

    def steer(self, optimiser: torch.optim.Optimizer, rate: float) -> None:
        """Set what the next step of an optimiser that `build` made goes by."""
        for group in optimiser.param_groups:
            group["lr"] = rate * (self.decay_rate if group["fades"] else 1.0)
            group["weight_decay"] = self.weight_decay if group["shrinks"] else 0.0

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of a step, of `steps` that `epochs` have."""
        share = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.schedule == "linear":
            share *= 1 - 0.9 * step / max(steps, 1)
        return self.rate * share
