"""Off-policy estimators beside Open Bandit Pipeline, and beside known truths: `python -m benchmarks.off_policy`."""
