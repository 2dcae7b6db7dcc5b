"""GPUs, as NVIDIA's DCGM exporter sees them: use, memory, heat, throttling, errors."""
