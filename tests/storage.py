"""Object storage on loopback: moto's S3 behind a front that notes every request and can be made to fail."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow.fs as pafs
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "driver",
    "AWS_SECRET_ACCESS_KEY": "of-this-test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

Fault = Callable[[str, str], str | None]
"""Method and path of a request → `deny`, `cut` (in the middle of the answer), or None to answer it."""


@dataclass(frozen=True)
class Asked:
    """A request: whose (the access key's name), for what, and which bytes of it."""

    who: str
    method: str
    path: str
    first: int | None
    last: int | None


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """A line a request is no part of a test's output."""


@dataclass
class Storage:
    """A server with one bucket, `lethe`."""

    asked: list[Asked] = field(default_factory=list)
    fault: Fault = lambda method, path: None

    def start(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        answer: Any = DomainDispatcherApplication(create_backend_app)

        def front(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            who = re.search(r"Credential=(\w+)/", environ.get("HTTP_AUTHORIZATION", ""))
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", environ.get("HTTP_RANGE", ""))
            first, last = (int(part[1]), int(part[2])) if part else (None, None)
            self.asked.append(Asked(who[1] if who else "", method, path, first, last))
            what = self.fault(method, path)
            if what == "deny":
                start("403 Forbidden", [("Content-Type", "application/xml")])
                return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
            answered: Iterable[bytes] = answer(environ, start)
            return cut(answered) if what == "cut" else answered

        self.server: BaseWSGIServer = make_server("127.0.0.1", 0, front, threaded=True, request_handler=Quiet)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        filesystem, _ = pafs.FileSystem.from_uri(self.uri("") + "&allow_bucket_creation=true")
        filesystem.create_dir("lethe")

    def uri(self, path: str, bucket: str = "lethe") -> str:
        return f"s3://{bucket}/{path}?scheme=http&endpoint_override=127.0.0.1:{self.server.port}&region=us-east-1"

    @property
    def files(self) -> pafs.FileSystem:
        return pafs.FileSystem.from_uri(self.uri("x"))[0]

    def read(self, path: str) -> bytes:
        with self.files.open_input_file(f"lethe/{path}") as file:
            return bytes(file.read())

    def write(self, path: str, content: bytes) -> None:
        with self.files.open_output_stream(f"lethe/{path}") as file:
            file.write(content)

    def names(self, path: str) -> list[str]:
        """All objects below a path."""
        found = self.files.get_file_info(
            pafs.FileSelector(f"lethe/{path}", recursive=True, allow_not_found=True)
        )
        return sorted(
            info.path.removeprefix(f"lethe/{path}/") for info in found if info.type == pafs.FileType.File
        )

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def cut(answer: Iterable[bytes]) -> Iterator[bytes]:
    """Half of an answer, and then the connection is gone."""
    for part in answer:
        yield part[: len(part) // 2]
        raise ConnectionResetError
