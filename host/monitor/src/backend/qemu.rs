use super::{Guest, Plan, StartError};
pub(super) fn start(_plan: Plan<'_>) -> Result<Guest, StartError> {
    Err(StartError::NoQemu("qemu-system-x86_64".into()))
}
