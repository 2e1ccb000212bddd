"""The protocol's version: every call says which one it speaks."""

VERSION = 1
"""Raised whenever a server and a client of different versions would misunderstand each other."""

PROTOCOL = (("graphbed-protocol", str(VERSION)),)
"""What goes with every call."""
