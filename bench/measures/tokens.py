"""Tokens: asking for one by password, and having one validated."""

from collections.abc import Iterator

from bench.load import latency_and_throughput
from bench.measures import Context
from bench.stats import Row


def measure(context: Context) -> Iterator[Row]:
    client = context.cloud.client
    yield from latency_and_throughput("token issue", client.issue)
    yield from latency_and_throughput("token validate", client.validate)
