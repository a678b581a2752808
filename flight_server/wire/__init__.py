"""The Flight door: bytes to requests, batches to bytes, errors to codes. It decides nothing."""

from flight_server.wire.door import FlightDoor

__all__ = ["FlightDoor"]
