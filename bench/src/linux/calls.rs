//! What a system call costs.

use super::compile;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::place::output;
use crate::report::{Report, median};
use std::path::Path;

/// Prints the nanoseconds of one getppid(2) and of one uname(2) through libc.
const PROGRAM: &str = r#"#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e9 + t.tv_nsec; }
int main(void) {
    enum { N = 1000000 };
    struct utsname name;
    double start = now();
    for (int i = 0; i < N; i++) getppid();
    double middle = now();
    for (int i = 0; i < N; i++) uname(&name);
    printf("%f %f\n", (middle - start) / N, (now() - middle) / N);
    return 0;
}
"#;

/// One that is answered on the way in, and one that is handled.
pub fn measure(kernlet: Option<&Path>, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let program = compile(&kernlet, "calls", PROGRAM, &[])?;
    let image = kernlet.build_program(&program, &[])?;
    let mut times = [[vec![], vec![]], [vec![], vec![]]];
    for _ in 0..rounds.max(1) {
        let ours = output("kernlet run", kernlet.command().arg("run").arg(&image))?;
        let native = output("the program", &mut kernlet.place.command(&program))?;
        for (said, times) in [ours, native].iter().zip(&mut times) {
            for (word, times) in said.split_whitespace().zip(times) {
                times.push(word.parse().map_err(|_| BenchError::failed("calls", said.clone()))?);
            }
        }
    }
    let [ours, native] = times.map(|[known, handled]| [median(known), median(handled)]);
    report.ratio(goals::LINUX_GETPPID, ours[0], native[0], |ns| format!("{ns:.1} ns"));
    report.ratio(goals::LINUX_UNAME, ours[1], native[1], |ns| format!("{ns:.1} ns"));
    Ok(())
}
