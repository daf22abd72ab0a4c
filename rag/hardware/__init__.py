"""What the machine is doing: memory, load, heat."""
