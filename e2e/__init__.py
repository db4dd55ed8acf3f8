"""The harness: the whole shop under test, on real Kafka, with faults."""
