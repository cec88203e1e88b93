"""`lethe recommend`: a list for one user, with its reasons; lists for everybody; lists from a live state."""

from harness.recommend.request import Request

__all__ = ["Request"]
