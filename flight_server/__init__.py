"""Pixelflight: an Arrow Flight data server over a versioned, open lakehouse."""
