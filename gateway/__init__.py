"""The gateway: REST, WebSocket and Server-Sent Events on one side, gRPC to the services on the other.

It checks the shape of what comes in and mints order ids; it knows no business rule, no Kafka and no database. It may
import generated code (`shop`, `buf`) and libraries, nothing else of this repository.
"""

__version__ = "0.1.0"
