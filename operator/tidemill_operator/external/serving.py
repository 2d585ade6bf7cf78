"""The HTTPS server of external.metrics.k8s.io.

Every few seconds it looks whether its certificate or the front proxy's authority has changed, and
starts anew with them: a certificate that is replaced in its Secret needs no restart.
"""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from tidemill.errors import ConfigurationError
from tidemill.service import Loop
from tidemill_operator.external import documents, frontproxy
from tidemill_operator.external.access import Access
from tidemill_operator.external.documents import GROUP, GROUP_VERSION, BadSelector
from tidemill_operator.external.figures import METRICS, Figures, NoFigures
from tidemill_operator.external.frontproxy import FrontProxy
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import KubeError

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
CERTIFICATE, KEY = "tls.crt", "tls.key"


@dataclass(frozen=True, slots=True)
class Trust:
    """What the server shows and whom it believes; another one needs another server."""

    certificate: bytes
    key: bytes
    proxy: FrontProxy


class Refused(Exception):
    """Ends a request with a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        """See `documents.refusal`."""
        super().__init__(message)
        self.body = documents.refusal(code, reason, message)
        self.code = code


class MetricsServer(Loop):
    """Serves the metrics while the operator runs, acting or standing by."""

    def __init__(
        self, host: str, port: int, certificates: Path, kube: Kube, figures: Figures
    ) -> None:
        """Nothing is bound or read before `start`; `certificates` has tls.crt and tls.key."""
        super().__init__("external metrics", LOOK_SECONDS)
        self._host, self._port, self._folder = host, port, certificates
        self._kube = kube
        self._figures = figures
        self._access = Access(kube)
        self._trust: Trust | None = None
        self._runner: web.AppRunner | None = None

    async def run_once(self) -> int:
        """Serve with the certificate and the authority as they are now."""
        trust = await self._read()
        if trust != self._trust:
            context = _context(trust, self._folder)
            await self._unbind()
            self._trust = trust
            await self._bind(context)
            log.info("serving %s on port %d", GROUP_VERSION, self._port)
        return 0

    async def stop(self) -> None:
        """Stop listening."""
        await super().stop()
        await self._unbind()

    async def _read(self) -> Trust:
        try:
            shown = [(self._folder / each).read_bytes() for each in (CERTIFICATE, KEY)]
        except OSError as error:
            raise ConfigurationError(
                f"TIDEMILL_OPERATOR_METRICS_CERTS must be a folder with {CERTIFICATE} and "
                f"{KEY}: {error}"
            ) from error
        found = await self._kube.config_map(frontproxy.NAMESPACE, frontproxy.NAME)
        return Trust(shown[0], shown[1], FrontProxy.of(found))

    async def _bind(self, context: ssl.SSLContext) -> None:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/apis", _document(documents.groups()))
        app.router.add_get(f"/apis/{GROUP}", _document(documents.group()))
        app.router.add_get(f"/apis/{GROUP_VERSION}", _document(documents.resources(METRICS)))
        one = f"/apis/{GROUP_VERSION}/namespaces/{{namespace}}/{{metric}}"
        app.router.add_get(one, self._values)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, ssl_context=context).start()
        except OSError as error:
            self._trust = None
            await runner.cleanup()
            raise ConfigurationError(
                f"TIDEMILL_OPERATOR_METRICS_PORT must be free (got {self._port}): {error.strerror}"
            ) from error
        self._runner = runner

    async def _unbind(self) -> None:
        runner, self._runner = self._runner, None
        self._trust = None
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Answer nobody but the front proxy, and everything that is refused with a Status."""
        try:
            self._authenticate(request)
            response: web.StreamResponse = await handler(request)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.code)
        except web.HTTPException as error:
            reason = "NotFound" if isinstance(error, web.HTTPNotFound) else "MethodNotAllowed"
            body = documents.refusal(error.status, reason, f"{request.path}: {error.reason}")
            return web.json_response(body, status=error.status)
        return response

    def _authenticate(self, request: web.Request) -> frontproxy.Client:
        trust = self._trust
        certificate = request.get_extra_info("peercert")
        client = None
        if trust is not None and trust.proxy.trusts(certificate):
            client = trust.proxy.client([*request.headers.items()])
        if client is None:
            message = "only the API server is answered: ask it for the metrics"
            raise Refused(401, "Unauthorized", message)
        return client

    async def _values(self, request: web.Request) -> web.Response:
        namespace, metric = request.match_info["namespace"], request.match_info["metric"]
        client = self._authenticate(request)
        try:
            allowed = await self._access.allows(client, namespace, metric)
        except KubeError as error:
            message = f"whether {client.user} may read it is not known: {error}"
            raise Refused(503, "ServiceUnavailable", message) from error
        if not allowed:
            message = f"{client.user} may not list {metric}.{GROUP} in namespace {namespace}"
            raise Refused(403, "Forbidden", message)
        return await self._answer(namespace, metric, request.query.get("labelSelector", ""))

    async def _answer(self, namespace: str, metric: str, selector: str) -> web.Response:
        if metric not in METRICS:
            message = f"there is no metric {metric}: there are {', '.join(METRICS)}"
            raise Refused(404, "NotFound", message)
        try:
            found, read_at = await self._figures.values(namespace, metric)
            chosen = [each for each in found if documents.matches(selector, each.labels)]
        except BadSelector as error:
            raise Refused(400, "BadRequest", str(error)) from error
        except NoFigures as error:
            raise Refused(503, "ServiceUnavailable", str(error)) from error
        if not chosen:
            which = f" that {selector!r} selects" if selector else ""
            message = f"namespace {namespace} has no served TaskQueue{which}"
            raise Refused(404, "NotFound", message)
        return web.json_response(documents.values(metric, chosen, read_at))


def _document(body: dict[str, Any]) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body)

    return answer


def _context(trust: Trust, folder: Path) -> ssl.SSLContext:
    """Return a context that shows our certificate and asks for the front proxy's."""
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=trust.proxy.authority)
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ValueError) as error:  # also ssl.SSLError: no certificate, or of another key
        raise ConfigurationError(f"the certificate in {folder} cannot be used: {error}") from error
    # The front proxy's certificates are the cluster's: some lack what the strict reading asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # Who comes without one is told so; who comes with one of another authority gets no connection.
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
