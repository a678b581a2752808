"""The lake: bulk tables in DuckLake on DuckDB. Parquet files, and a catalog of their versions.

Everything that knows DuckDB's dialect or DuckLake's catalog is in this room; what leaves it is
Arrow, nouns of `flight_server.model`, and errors of `flight_server.errors`.
"""
