"""What the server does: one function per verb, one file per family.

Each function authorises, resolves, delegates to an engine or to `query`, and records. Both doors
call these and hold no rule of their own.
"""
