"""Updates of a table row: each file defines `update_row`."""
