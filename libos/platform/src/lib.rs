//! The two doors of an image: the VM and the process.
