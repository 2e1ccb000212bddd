"""gRPC as this project uses it: channels, deadlines, errors on the wire, health, and the life of a server process."""
