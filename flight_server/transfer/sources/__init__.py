"""Where files come from: uploads, folders and buckets that settings allow, and URLs.

Whoever imports names a place, and the server reads there with its own rights. So each kind of place
is opened here alone, after what may be read there has been checked.
"""

from flight_server.transfer.sources.opening import Opened, SourceName, check_source, open_source

__all__ = ["Opened", "SourceName", "check_source", "open_source"]
