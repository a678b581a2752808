"""Where results go: to be fetched from the server, into a folder, or to S3.

A result appears under its name whole or not at all. What an attempt that was killed has left
behind is found by its note, and removed by the next.
"""

from flight_server.transfer.places.base import Place, Result
from flight_server.transfer.places.choosing import Target, checked_target, place_of
from flight_server.transfer.places.notes import noted, sweep

__all__ = ["Place", "Result", "Target", "checked_target", "noted", "place_of", "sweep"]
