//! The executor: tasks, timers, readiness.
