//! C programs about single calls, in tests/linux: each says the same natively and in both doors, linked with glibc
//! statically, with glibc dynamically, and with musl.

use kernlet_tests::programs::{DOORS, compile, left_out, native, run, same, seal, source, try_compile};

/// Runs one of them, linked as `link` says.
fn check(name: &str, link: &str) {
    let file = source(&format!("{name}.c"));
    let out = format!("{name}-{link}");
    let options = ["-O2", "-pthread", "-w"];
    let program = match link {
        "static" => compile("gcc", "gcc", &[&options[..], &["-static"]].concat(), &file, &out),
        "dynamic" => compile("gcc", "gcc", &options, &file, &out),
        // musl-tools has no headers of the kernel; Debian's are found behind its own.
        _ => match try_compile(
            "musl-gcc",
            "musl-tools",
            &[
                &options[..],
                &["-static", "-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"],
            ]
            .concat(),
            &file,
            &out,
        ) {
            Ok(program) => program,
            Err(said) => {
                let said: Vec<_> = said.lines().filter(|line| line.contains("error")).take(2).collect();
                return left_out(&format!("{name}.c with musl"), &format!("it does not compile: {said:?}"));
            }
        },
    };
    let expected = native(&program, &[]);
    let image = seal(&program, &[], &out);
    for door in DOORS {
        same(&format!("{out} in door {door}"), &expected, &run(door, &[], &image, &[]));
    }
}

/// One test for each program and way of linking.
macro_rules! programs {
    ($($name:ident)*) => {
        $(mod $name {
            #[test]
            fn says_the_same_with_static_glibc() {
                super::check(stringify!($name), "static");
            }
            #[test]
            fn says_the_same_with_dynamic_glibc() {
                super::check(stringify!($name), "dynamic");
            }
            #[test]
            fn says_the_same_with_static_musl() {
                super::check(stringify!($name), "musl");
            }
        })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

programs! { controls faults files futexes mappings pointers proc processes pseudo readiness rlimits shared signals sockets steps suites system sysv threads turns vdso }

#[test]
fn every_program_in_the_folder_is_tested() {
    let folder = std::fs::read_dir(source("")).expect("it is there");
    for entry in folder.flatten().filter(|e| e.path().extension().is_some_and(|e| e == "c")) {
        let name = entry.path().file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        assert!(NAMES.contains(&name.as_str()), "{name}.c is missing in this file's list");
    }
}

/// By a pointer that is none no program ends, whichever call it is for: all numbers, with nothing but bad arguments.
#[test]
fn every_call_comes_back_from_bad_arguments() {
    let options = ["-O2", "-static", "-w"];
    let program = compile("gcc", "gcc", &options, &source("pointers.c"), "pointers-sweep");
    let image = seal(&program, &[], "pointers-sweep");
    for door in DOORS {
        let done = run(door, &["-m", "64M"], &image, &["sweep"]);
        assert!(
            done.status == 0 && done.out.ends_with(" calls came back\n"),
            "{door}: {} {}",
            done.status,
            done.out
        );
    }
}
