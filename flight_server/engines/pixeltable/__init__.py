"""Multimodal tables, kept by Pixeltable in processes of its own.

Pixeltable holds the interpreter's lock for long, takes seconds to import and owns a PostgreSQL:
this process never imports it. `worker` is what runs in the others, `channel` how the two talk.
"""
