"""The write side: worker, projector, batches, held messages, queue accounting."""
