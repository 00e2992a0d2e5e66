//! What an image says of itself.
