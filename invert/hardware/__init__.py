"""The machine: its allocator, processor, memory and precision."""
