"""What surrounds the routes, from the outermost layer to the innermost.

1. `SafeHeaders`: every answer, whoever gives it, tells browsers what they must not do with it.
2. CORS: answers preflights by itself, and lets pages of other origins read refusals as well.
3. `Observed`: the request's id, and what is measured, traced and logged of it: refusals as well,
   and bytes as they cross the network.
4. `Requests`: its place among those that run, and its client's leaving.
5. `Compression`: of answers. What lies within never sees an encoding.
6. `Decompression`: of bodies, with its limits, before anything reads or hashes them.
7. `Idempotency`: writes that are sent again.
8. `Paths`: slashes within names, before the router splits the path at slashes.
9. `Routed`: where the router has sent it.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from control_api.browsers import SafeHeaders, cors_options
from control_api.compression import Compression
from control_api.decompression import Decompression
from control_api.idempotency import Idempotency
from control_api.observed import Observed, Routed
from control_api.paths import Paths
from control_api.requests import Requests
from flight_server.operations import Services


def surround(app: FastAPI, services: Services, prefix: str) -> None:
    """Puts the layers around an application whose routes that write lie under the prefix.

    Starlette wants the innermost first.
    """
    settings = services.settings
    app.add_middleware(Routed)
    app.add_middleware(Paths)
    app.add_middleware(Idempotency, services=services, prefix=prefix)
    app.add_middleware(
        Decompression,
        json_bytes_max=settings.json_bytes_max,
        decompressed_bytes_max=settings.decompressed_bytes_max,
    )
    app.add_middleware(Compression)
    app.add_middleware(
        Requests, running_max=settings.http_requests_max, proxies=settings.trusted_proxies
    )
    app.add_middleware(Observed, telemetry=services.telemetry)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors_options(settings))
    app.add_middleware(SafeHeaders, is_tls=settings.tls_certificate is not None)
