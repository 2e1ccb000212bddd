"""Small real graphs that come with Graphbed; README.md here says where they are from."""
