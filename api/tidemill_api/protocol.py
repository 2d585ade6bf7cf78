"""What is refused before any route: bytes that are no HTTP, heads that are too large.

aiohttp answers these as plain text and logs a stack for each, which lets any stranger fill the
log. Here they are problems like all other errors, and a debug line.
"""

import logging
import secrets
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, LineTooLong

from tidemill.errors import Fault
from tidemill_api.middleware import finish
from tidemill_api.problems import Problem, internal, response_of

_log = logging.getLogger(__name__)
_FAILED = 500
_TOO_LARGE = 431


class ProblemProtocol(web.RequestHandler):
    """aiohttp's HTTP protocol with problems for its own errors."""

    __slots__ = ()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what aiohttp could not handle; of a body that broke off, the client was told."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _FAILED,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that never reached a route; its connection closes."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun: its connection can only be cut")
        request_id = secrets.token_hex(8)
        if status == _FAILED:
            _log.error("a request failed outside its route", exc_info=exc)
            problem = internal()
        elif isinstance(exc, ContentEncodingError):  # what no library here unfolds: br, zstd
            rule = "must be one of deflate, gzip, identity"
            fault = Fault("Content-Encoding", rule, message)
            problem = Problem(415, "unsupported-media-type", f"Content-Encoding: {rule}", (fault,))
        elif isinstance(exc, LineTooLong):
            detail = f"the request line and each header must have at most {exc.args[1]} bytes"
            problem = Problem(_TOO_LARGE, "too-large", detail)
        else:
            _log.debug("refused %s: %s %r", request.remote, type(exc).__name__, message)
            problem = Problem(status, "bad-http", "the request is not valid HTTP/1.1")
        response = response_of(problem, request_id)
        finish(response.headers, request_id)
        response.force_close()
        return response
