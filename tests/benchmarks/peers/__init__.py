"""The programs that ours is compared with; run by themselves, never imported by the project."""
