"""Jobs: queueing, claiming, running, settling."""
