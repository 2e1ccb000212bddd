"""The lockserver: decides who trains what."""
