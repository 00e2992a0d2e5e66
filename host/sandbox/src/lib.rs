//! Starts an instance as a sandboxed process.
