"""Flight SQL: its protobuf messages to operations and back. No rule lives here."""
