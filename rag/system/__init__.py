"""What every room may use of the machine: secrets, environment, memory, priorities, charts."""
