"""The MLflow registry: versions and their aliases, promotion and the way back, what is told of a version."""
