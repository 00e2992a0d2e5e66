//! Requests to the broker: what needs a name.
