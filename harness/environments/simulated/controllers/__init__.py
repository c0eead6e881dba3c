"""The controllers of the simulated cluster, one module each. They look at objects, never at scenarios."""
