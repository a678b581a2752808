"""The HTTP door. It knows `flight_server`; but for the command line, nothing knows it."""
