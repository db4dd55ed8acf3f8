"""sagaproof in pipelines: lint, test, build, publish, end-to-end on kind with Strimzi, and deploy.

`dagger call e-2-e` (so the CLI spells `e2e`) builds the images, starts a Kubernetes in a container of its own, deploys
the shop and runs the suite with faults against it. docs/dagger.md has all calls with examples.
"""

from sagaproof_pipelines.main import Sagaproof

__all__ = ["Sagaproof"]
