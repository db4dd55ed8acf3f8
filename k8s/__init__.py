"""The shop on Kubernetes: manifests for Kustomize, and what keeps them true to the code. See docs/kubernetes.md."""
