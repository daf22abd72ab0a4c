"""GGUF models through llama.cpp, inside this process.

Its server answers through a loopback door with a key; nothing listens for others.
"""

import os

SPIN_TURNS = 300
"""How long llama.cpp's OpenMP threads wait for each other awake, in turns of a loop (some µs).

They meet after every operation. Asleep at once, which suits torch, they write 25.6 tokens/s where
nobody else computes; at OpenMP's own 300,000 turns 35, but then 11 beside one busy process, which
keeps one of them waiting for the other. At 300: 33 and 20 (docs/decisions.md, "llama.cpp beside a
busy process")."""

# OpenMP comes with xllamacpp, and reads the environment as it is loaded
os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_TURNS))
