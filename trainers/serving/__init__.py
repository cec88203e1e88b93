"""Retention compiled for serving: every curve a few exponentials, every user a state that an event updates in constant
work, however many came before.

`compiled` replaces the curves of the closed-form terms and says how far scores may move; `UserState` holds what is left
of one user's events under such a model.
"""

from trainers.serving.model import CompiledModel, compiled
from trainers.serving.user import UserState

__all__ = ["CompiledModel", "UserState", "compiled"]
