"""`pixelflight shell`: SQL by hand or from a pipe, over one session of the Python client.

It knows the client and the rest of the command line, and nothing of the server.
"""
