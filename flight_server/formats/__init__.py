"""Rows as text and bytes: JSON, CSV and Arrow streams, out and back in without a loss.

Knows Arrow, and DuckDB as what writes JSON fast; knows no tables, no rights and no protocol.
"""
