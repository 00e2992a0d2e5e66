//! Shared state and waiting.
