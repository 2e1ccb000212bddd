"""The step in torch on any device: many chunks at a time on an accelerator; one by one, it judges the CPU kernel."""
