//! An authoritative DNS server.
