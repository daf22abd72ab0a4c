"""Where the bytes of models come from: the hub, wheels of a package index, a folder."""
