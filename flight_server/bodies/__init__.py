"""What both doors read from JSON and answer as JSON, in one place.

Bodies turn into requests of `operations`; results turn into plain values. Knows no protocol.
"""
