"""A neural term that trains in this process, and may be looked at on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainers.encoders import ENCODERS, Neural, TermSettings
from trainers.log import TrainingData

if TYPE_CHECKING:
    from trainers.training.loop import Training  # torch takes seconds to import


class Rising:
    """A neural term in training.

    Attributes:
        encoder: with the parameters of the best epoch so far, or of the latest where `rise` was asked for these.
        epochs: how many it has trained.
        over: whether it has come to its end.
    """

    def __init__(self, term: TermSettings, data: TrainingData, *, repeats: bool, seed: int = 0) -> None:
        import torch

        torch.manual_seed(seed)
        encoder = ENCODERS[term.kind](term, len(data.catalogue))
        assert isinstance(encoder, Neural)
        encoder.begin(data, repeats=repeats, seed=seed)
        self.encoder, self.data, self.repeats, self.seed = encoder, data, repeats, seed
        self.over = False
        self._training: Training | None = None

    @property
    def epochs(self) -> int:
        return len(self._training.curve.loss) if self._training else 0

    def state(self) -> dict[str, Any] | None:
        """What it takes to go on from here, as plain data; None before the first epoch."""
        return self._training.plain() if self._training else None

    def take(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        from trainers.training.loop import Training

        self._training = Training.of_plain(state)

    def rise(self, epochs: float, *, latest: bool = False) -> None:
        """Train on until so many epochs are done in all, or to the end of the training if that comes before.

        Args:
            latest: stand there with the parameters as they are then (their average, where one is kept), not with the
                best so far. A training that is over always ends with the best."""
        from trainers.training.loop import optimise

        def look(training: Training) -> None:
            self._training = training
            if self.epochs >= epochs:
                raise _Pause

        if self.over or self.epochs >= epochs:
            return
        settings = self.encoder.settings.training
        moments = self.data.moments()
        try:
            optimise(
                self.encoder,
                self.data,
                moments,
                settings,
                repeats=self.repeats,
                seed=self.seed,
                resume=self._training,
                keep=look,
            )
            self.over = True
        except _Pause:
            assert self._training is not None
            now = self._training.average or self._training.module
            # What goes on from here is in `_training`; the network is for whoever looks.
            self.encoder.module.load_state_dict(now if latest else self._training.best)


class _Pause(Exception):
    """Leaves a training in the middle."""
