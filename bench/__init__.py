"""Measurements of a running cloud, against the bare tools doing the same work. `python -m bench --help`."""
