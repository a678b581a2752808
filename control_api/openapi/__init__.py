"""What OpenAPI says of the routes, and the pages that show it.

The routes themselves are read by FastAPI. Added here is what all of them share: errors, headers,
tags, and the examples, which stand in files of their own.
"""

from control_api.openapi.document import OpenApi
from control_api.openapi.pages import router

__all__ = ["OpenApi", "router"]
