//! The table of results.

use crate::goals::{Bound, Goal};
use std::time::Duration;

/// Prints rows as they come, and remembers whether a goal was missed.
#[derive(Debug, Default)]
pub struct Report {
    rows: usize,
    missed: Vec<&'static str>,
}

impl Report {
    /// A row for a value of kernlet's alone.
    pub fn value(&mut self, goal: Goal, value: f64) {
        self.row(goal, "", "", value);
    }

    /// A row for a value and the peer's; what counts is their ratio.
    pub fn ratio(&mut self, goal: Goal, kernlet: f64, peer: f64, show: fn(f64) -> String) {
        self.row(goal, &show(kernlet), &show(peer), kernlet / peer);
    }

    /// The goals that were missed.
    pub fn missed(&self) -> &[&'static str] {
        &self.missed
    }

    fn row(&mut self, goal: Goal, kernlet: &str, peer: &str, value: f64) {
        if self.rows == 0 {
            println!(
                "| what | kernlet | peer | result | goal | met |\n| --- | --- | --- | --- | --- | --- |"
            );
        }
        self.rows += 1;
        let met = goal.bound.met(value);
        if !met {
            self.missed.push(goal.what);
        }
        let bound = match goal.bound {
            Bound::AtLeast(bound) => format!("≥ {}", rounded(bound)),
            Bound::AtMost(bound) => format!("≤ {}", rounded(bound)),
            Bound::Free => String::new(),
        };
        let answer = match (goal.bound, met) {
            (Bound::Free, _) => "",
            (_, true) => "yes",
            (_, false) => "no",
        };
        let digits = if value < 100.0 { 2 } else { 0 };
        println!(
            "| {} | {kernlet} | {peer} | {value:.digits$} {} | {bound} | {answer} |",
            goal.what, goal.unit
        );
    }
}

/// A bound to three digits behind the point.
fn rounded(bound: f64) -> f64 {
    (bound * 1e3).round() / 1e3
}

/// The middle of the values; of an even number, the upper one of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals;

    #[test]
    fn a_missed_goal_is_remembered_and_a_free_one_never_missed() {
        let mut report = Report::default();
        report.ratio(goals::START, 0.8, 0.5, |ms| format!("{ms} ms"));
        report.ratio(goals::FIRST_ANSWER, 9.0, 1.0, |ms| format!("{ms} ms"));
        report.value(goals::SIZE_HELLO, 65.0);
        assert_eq!(report.missed(), [goals::SIZE_HELLO.what]);
    }

    #[test]
    fn the_median_is_not_moved_by_one_outlier() {
        assert_eq!(median(vec![3.0, 1000.0, 1.0]), 3.0);
    }
}
