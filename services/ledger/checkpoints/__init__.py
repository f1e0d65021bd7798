"""Published checkpoints: the published view, the archive, witnesses and their cosignatures."""
