"""Registers the shared fixtures: one file a topic."""

pytest_plugins = ["tests.fix_metastore"]
