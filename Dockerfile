# One image for the Ray head, the Ray workers and the MLflow server of docker-compose.yml.
# torch comes without CUDA; for GPUs set TORCH_INDEX=https://pypi.org/simple in .env, or by --build-arg.
FROM python:3.11.13-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    GIT_PYTHON_REFRESH=quiet RAY_USAGE_STATS_ENABLED=0

# A new volume takes the owner of the folder that it covers.
RUN useradd --create-home --uid 1000 lethe \
    && install --directory --owner=lethe --group=lethe /lethe /lethe/.lethe /artifacts
WORKDIR /lethe

COPY constraints.txt /build/
RUN pip install --constraint /build/constraints.txt --extra-index-url ${TORCH_INDEX} torch

COPY pyproject.toml README.md LICENSE /build/
COPY harness /build/harness
COPY trainers /build/trainers
COPY evaluators /build/evaluators
RUN pip install --constraint /build/constraints.txt "/build[cluster,system]"

USER lethe
CMD ["lethe", "--help"]
