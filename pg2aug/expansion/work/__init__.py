"""Working through a plan: in order, over threads and processes, resumable."""
