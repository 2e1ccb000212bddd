"""The lock servers under a virtual clock, a network that loses and repeats, stores that fail, and crashes anywhere."""
