"""The gateway's Prometheus metrics, in a registry of their own, so that two gateways fit in one process.

docs/observability.md has them all in a table.
"""

from __future__ import annotations

import platform

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from gateway import __version__

_LATENCY_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

disable_created_metrics()  # a second series for each, which says when the process was started


class Metrics:
    """Counters and gauges; the names are part of the gateway's interface."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "sagaproof_gateway_requests",
            "HTTP requests answered, by route, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "sagaproof_gateway_request_seconds",
            "Time from a request's head to the end of its answer in seconds, by route.",
            ["route"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.watchers = Gauge(
            "sagaproof_gateway_watchers", "WebSocket and SSE clients watching an order.", registry=self.registry
        )
        self.followers = Gauge(
            "sagaproof_gateway_followers",
            "SSE clients of a live feed, by feed: events, dashboard.",
            ["feed"],
            registry=self.registry,
        )
        self.cut_off = Counter(
            "sagaproof_gateway_slow_clients_cut_off", "Watchers cut off for not reading.", registry=self.registry
        )
        self.watch_breaks = Counter(
            "sagaproof_gateway_watch_stream_breaks",
            "Times that the watch stream to status broke.",
            registry=self.registry,
        )
        self.retries = Counter(
            "sagaproof_gateway_retries", "Calls tried again, by service.", ["service"], registry=self.registry
        )
        self.circuit_open = Gauge(
            "sagaproof_gateway_circuit_open",
            "1 while the circuit of the service is open, else 0.",
            ["service"],
            registry=self.registry,
        )
        self.joined = Histogram(
            "sagaproof_gateway_joined_orders",
            "Orders sent in one PlaceOrders call.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=self.registry,
        )
        self.spans = Counter(
            "sagaproof_spans",
            "Spans by what became of them: exported, failed (in the exporter), dropped.",
            ["outcome"],
            registry=self.registry,
        )
        self.build = Gauge(
            "sagaproof_build_info",
            "1, with what runs here as labels.",
            ["service", "version", "python"],
            registry=self.registry,
        )
        self.build.labels("gateway", __version__, platform.python_version()).set(1)
