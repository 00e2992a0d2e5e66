//! DNS
pub mod check; pub mod control; pub mod loader; pub mod socket; pub mod zone;
