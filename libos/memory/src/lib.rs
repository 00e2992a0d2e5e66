//! The heap of an instance, within its memory limit.
