"""GGUF models through llama.cpp, inside this process."""

from rag.generation.llamacpp.cores import wait_spinning

wait_spinning()  # OpenMP comes with xllamacpp, and reads the environment as it is loaded
