"""What MLflow runs to make the served model again (models from code): nothing of Lethe is pickled."""

from mlflow.models import set_model

from harness.serving.pyfunc import ServedModel

set_model(ServedModel())
