"""The `pixelflight` command: one file a family of verbs, built on the client and on both doors.

What people read goes to standard error, what programs read to standard output.
"""
