"""The processes of Graphbed: run with `python -m services.<name>`, never imported by the library."""
