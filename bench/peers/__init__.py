"""The peers and limits that we are measured against, each in a process of its own.

Quack and ROAPI live in venvs of their own, which `make bench-peers` makes; the wire is pyarrow's
Flight server with nothing behind it. Nothing here knows how Pixelflight works.
"""
