"""The calls of the HTTP interface, one module for each thing that a client does."""
