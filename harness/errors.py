"""What a person did wrong, told in one line; the command line ends with exit code 2."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """A configuration breaks a rule: the message says the rule, the value and the way out."""


class IncompleteError(RuntimeError):
    """Work that was asked for did not finish; the command line ends with exit code 1."""
