//! The end.

/// Ends the instance with the program's exit status.
pub fn exit(status: u8) -> ! {
    crate::control::send(crate::control::Message::Exit(status));
    at_door!(power::off(status))
}

/// Ends the instance because of `death`, which was already described on standard error.
pub fn die(death: crate::control::Death) -> ! {
    crate::control::send(crate::control::Message::Died(death));
    at_door!(power::off(death.status()))
}
