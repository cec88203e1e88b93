"""Models that forget: forgetting functions, encoders, their fits on Ray Train and their search on Ray Tune.

This package works on packed event logs (`trainers.log`) and returns models (`trainers.model`). It knows neither the
harness that drives it nor the evaluators that judge it.
"""
