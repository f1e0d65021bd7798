"""What ours is measured against; run as programs of their own, never imported by the project."""
