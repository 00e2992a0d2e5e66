//! A file for each command.

pub mod build;
pub mod completions;
pub mod inspect;
pub mod lifecycle;
pub mod logs;
pub mod new;
pub mod ps;
pub mod run;
pub mod trace;
