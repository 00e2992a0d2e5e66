//! What a native kernlet program sees.
