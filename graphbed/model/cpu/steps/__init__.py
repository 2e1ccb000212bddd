"""Steps: how a chunk of edges is trained; each file defines `train_chunk`."""
