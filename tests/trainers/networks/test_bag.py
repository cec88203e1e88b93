"""Networks over one decayed sum of a history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import logits, neural, whole
from trainers.encoders.mlp import Mlp, MlpSettings
from trainers.forgetting import build
from trainers.networks.bag import RecommendationFunction, Variational

ITEMS = 9
COLUMN = np.arange(ITEMS, dtype=np.int32)
LOG = helpers.crowded(3, users=8)
MOMENTS = helpers.training(LOG).moments()
POWER: dict[str, Any] = {"family": "power", "tau": 3.0, "exponent": 0.7}
STEPS: dict[str, Any] = {"family": "geometric", "clock": "moments", "rate": 0.6}
BOTH: dict[str, Any] = {**POWER, "clock": "both", "moments": {"family": "geometric", "rate": 0.6}}


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("normalise", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("forgetting", [{"family": "none"}, POWER, STEPS, BOTH], ids=str)
def test_the_interest_is_the_decayed_profile_of_embeddings(
    forgetting: dict[str, Any], weighted: bool, normalise: float, learn: bool
) -> None:
    """Σ R(age)·w·e(item) over (Σ R·w)^normalise, of which less than one is taken for one."""
    settings = MlpSettings.model_validate(
        {
            "dim": 3,
            "normalise": normalise,
            "weights": weighted,
            "forgetting": {**forgetting, "learn": learn},
        }
    )
    module = Mlp(settings, ITEMS).interest()
    found = module(whole(LOG, MOMENTS, COLUMN, 50)).detach().numpy()
    curve = build(settings.forgetting)
    profile = helpers.naive_profile(LOG, MOMENTS, COLUMN, ITEMS, curve, weighted)
    mass = np.maximum(profile.sum(1, keepdims=True), 1.0)
    expected = profile @ module.embedding.weight.detach().numpy() / mass**normalise
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_learned_retention_has_gradients_of_its_own() -> None:
    settings = MlpSettings.model_validate({"dim": 3, "forgetting": {**BOTH, "learn": True}})
    module = Mlp(settings, ITEMS).interest()
    module(whole(LOG, MOMENTS, COLUMN, 50)).square().sum().backward()
    gradients = [parameter.grad for parameter in module.retention.parameters()]
    assert len(gradients) == 3
    assert all(gradient is not None and gradient.abs().min() > 0 for gradient in gradients)


def test_the_recommendation_function_reads_the_interest() -> None:
    """W·relu(A·x + b), and each item's bias."""
    encoder = neural("mlp", ITEMS)
    module = encoder.module
    assert isinstance(module, RecommendationFunction)
    batch = whole(LOG, MOMENTS, COLUMN, 50)
    x = module.interest(batch)
    hidden = (x @ module.hidden.weight.T + module.hidden.bias).clamp_min(0)
    expected = hidden @ module.output.weight.T + module.bias
    torch.testing.assert_close(logits(encoder, batch), expected.detach())


def variational(**changes: Any) -> tuple[Any, Variational]:
    encoder = neural("vae", ITEMS, **changes)
    assert isinstance(encoder.module, Variational)
    return encoder, encoder.module


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    encoder, module = variational(beta=0.5)
    batch = whole(LOG, MOMENTS, COLUMN, 50)
    said = module(batch)
    mean, log_var = module.encoder(module.interest(batch)).chunk(2, 1)
    one = torch.distributions.Normal(mean, torch.exp(log_var / 2))
    apart = torch.distributions.kl_divergence(one, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(said.penalty, 0.5 * apart)
    assert said.penalty.min() > 0
    torch.testing.assert_close(said.interest, module.decoder(mean))
    assert torch.equal(logits(encoder, batch), logits(encoder, batch))


def test_training_draws_from_the_distribution() -> None:
    """Around the mean, as far from it as the variance says."""
    _, module = variational()
    batch = whole(LOG, MOMENTS.take(np.array([5])), COLUMN, 50)
    mean, log_var = module.encoder(module.interest(batch)).chunk(2, 1)
    seen: list[torch.Tensor] = []
    module.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()[0]))
    module.train()
    for _ in range(3000):
        module(batch)
    drawn = torch.stack(seen)
    torch.testing.assert_close(drawn.mean(0), mean[0].detach(), rtol=0.1, atol=0.1)
    torch.testing.assert_close(drawn.var(0), log_var[0].exp().detach(), rtol=0.15, atol=0.01)


def test_a_decoder_without_divergence_has_no_penalty_that_counts() -> None:
    _, module = variational(beta=0.0)
    penalty = module(whole(LOG, MOMENTS, COLUMN, 50)).penalty
    assert penalty.abs().max() == 0
