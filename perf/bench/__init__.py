"""The benchmark set of plyfs: see perf/README.md. Started by perf/run only."""
