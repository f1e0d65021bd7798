"""The writer: worker, projector, batches, held messages, queue accounting."""
