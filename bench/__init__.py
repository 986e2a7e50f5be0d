"""Measurements of a running cloud, compared with the bare tools doing the same work. `python -m bench --help`."""
