//! Runs instances on a backend and keeps their state and logs.
