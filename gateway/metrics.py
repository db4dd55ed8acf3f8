"""The gateway's Prometheus metrics, in a registry of their own, so that two gateways fit in one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

_LATENCY_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters and gauges; the names are part of the gateway's interface."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "gateway_requests", "HTTP requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "gateway_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["route"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.watchers = Gauge(
            "gateway_watchers", "WebSocket and SSE clients watching an order.", registry=self.registry
        )
        self.cut_off = Counter(
            "gateway_slow_clients_cut_off", "Watchers cut off for not reading.", registry=self.registry
        )
        self.watch_breaks = Counter(
            "gateway_watch_stream_breaks", "Times that the watch stream to status broke.", registry=self.registry
        )
        self.retries = Counter("gateway_retries", "Calls tried again.", ["service"], registry=self.registry)
        self.circuit_open = Gauge(
            "gateway_circuit_open", "1 while the circuit is open.", ["service"], registry=self.registry
        )
        self.joined = Histogram(
            "gateway_joined_orders",
            "Orders sent in one PlaceOrders call.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=self.registry,
        )
