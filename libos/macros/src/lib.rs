//! The attribute on a native program's main function.
