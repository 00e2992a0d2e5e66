//! How a build tells people that it goes on: a bar on a terminal, else nothing but warnings.

use crate::arguments::Common;
use crate::report::{colored, warn};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kernlet_image::native::Progress;
use std::io::IsTerminal;
use std::time::Duration;

/// Shows a build's progress on stderr.
pub struct Shown {
    bar: Option<ProgressBar>,
    quiet: bool,
    verbose: bool,
}

impl Shown {
    /// As the user wants it.
    pub fn new(common: &Common) -> Self {
        let wanted = !common.quiet && !common.verbose && std::io::stderr().is_terminal();
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { bar: (wanted && allowed).then(bar), quiet: common.quiet, verbose: common.verbose }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // The template is constant; without it the bar only looks different.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {bar:24} {pos}/{len}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl Progress for Shown {
    fn step(&mut self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_string());
        } else if self.verbose {
            crate::report::say(&format!("{what}\n"));
        }
    }

    fn tick(&mut self, done: usize, total: usize) {
        if let Some(bar) = self.bar.as_ref().filter(|_| total > 0) {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }

    fn warning(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        let text = text.trim_end();
        let show = || {
            if colored() || text.starts_with("warning") {
                crate::report::say(&format!("{text}\n"));
            } else {
                warn(text);
            }
        };
        match &self.bar {
            Some(bar) => bar.suspend(show),
            None => show(),
        }
    }
}
