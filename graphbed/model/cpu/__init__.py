"""The CPU kernel: small functions, one choice a file, put together and compiled for one combination."""
