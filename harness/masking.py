"""No secret in what others read: passwords and keys inside a URI are blotted out before it is shown or logged."""

from __future__ import annotations

import re

BLOT = "***"
_LOGIN = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)[^/\s'\"`@]+(?:/[^/\s'\"`@]+)?@")
"""`user:password@`, and `key:secret@` where the secret holds a slash, as those of S3 may."""
_OPTION = re.compile(
    r"(?P<name>[?&][\w.-]*(?:secret|password|passwd|token|signature|credential|key|sig|pwd)[\w.-]*=)[^&\s'\"`]+",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """A text whose URIs hold no login and no option that is a secret.

    >>> masked("postgresql://ann:pa55@db/mlflow and s3://AKIA:wJal/rXU@bucket/a.csv?region=eu&secret_key=x")
    'postgresql://***@db/mlflow and s3://***@bucket/a.csv?region=eu&secret_key=***'
    >>> masked("sqlite:///mlflow.db, s3://bucket/a.csv, models:/shop@champion, ann@example.org")
    'sqlite:///mlflow.db, s3://bucket/a.csv, models:/shop@champion, ann@example.org'
    """
    return _OPTION.sub(rf"\g<name>{BLOT}", _LOGIN.sub(rf"\g<scheme>{BLOT}@", text))
