"""What a person drives: configuration, data, the pipeline, the registry, the report, the command line."""

__version__ = "0.1.0"
