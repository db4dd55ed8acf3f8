"""The command line and the local launcher: set-up, Kafka without Docker, every service under supervision."""
