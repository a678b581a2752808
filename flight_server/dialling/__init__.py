"""Connections that the server makes to where a user says: only to addresses it may dial.

A user who registers a webhook or imports from a URL makes the server connect somewhere. What is
checked is therefore the address itself, after the host's name is resolved, and exactly the address
that was checked is dialled: a name that resolves differently the second time gains nothing, nor
does any spelling of an address. Only public addresses are dialled, and what the setting
`outbound_networks` names. Each redirect is a new destination, checked like the first.

`fetch` is for whoever may wait (imports), `connections` for asyncio (webhooks). Both bring their
libraries with them, so that nothing of them is loaded before it is used.
"""

from flight_server.dialling.addresses import Dialling, is_public
from flight_server.dialling.destinations import Destination

__all__ = ["Destination", "Dialling", "is_public"]
