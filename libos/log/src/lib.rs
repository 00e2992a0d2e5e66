//! Log lines of the library OS and of native programs.
