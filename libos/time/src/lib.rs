//! Instants, durations, wall clock.
