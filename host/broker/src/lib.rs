//! Serves what an instance may reach by name.
