"""Lethe's metrics beside the referee and RecTools: do they agree, and how fast are they?

`python -m benchmarks.metrics_agreement` and `python -m benchmarks.metrics_speed`; RecTools runs in an environment of
its own (`make .venv-rivals/rectools/.made`).
"""
