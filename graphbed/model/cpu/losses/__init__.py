"""Losses: each file defines `edge_loss`."""
