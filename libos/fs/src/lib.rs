//! Files: the read-only root, memory files, volumes.
