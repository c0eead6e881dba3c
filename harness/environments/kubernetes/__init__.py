"""A live Kubernetes cluster behind the same protocols as the simulated one."""
