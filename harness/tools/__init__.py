"""What an agent may call: reads under the official ITBench names, kubectl-like reads, typed actions."""
