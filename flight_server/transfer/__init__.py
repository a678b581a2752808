"""Rows from and to files: which formats there are, how they are read and written, where they lie.

Knows Arrow, files and S3; knows no tables, no rights, no client and no protocol.
"""
