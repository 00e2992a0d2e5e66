//! The hostile program (tests/programs/hostile): as an ordinary program, the control, and inside the sandbox.

use crate::{Finished, User, finish, image, is_root, repository};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The status of an instance that the filter ended: SIGSYS.
pub const BY_FILTER: i32 = 128 + 31;
/// The status of an instance that a CPU fault ended.
pub const BY_FAULT: i32 = 139;
/// The status of an attack that was refused.
pub const REFUSED: i32 = 1;
/// What an attack says of a call that this kernel does not have.
pub const ABSENT: &str = "errno 038";

/// The hostile program as an ordinary Linux program.
pub fn control() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let target = repository().join("target/test-control");
        let mut command = Command::new("cargo");
        command.args(["build", "--release", "--quiet", "--manifest-path"]);
        command.arg(repository().join("tests/programs/hostile/Cargo.toml")).arg("--target-dir").arg(&target);
        // Builds may take longer than anything else, so nobody watches the clock.
        let output = command.output().expect("cargo runs");
        assert!(output.status.success(), "{}", crate::text(&output.stderr));
        crate::publish(&target.join("release/hostile"), "hostile-control")
    };
    BUILT.get_or_init(build).clone()
}

/// Those who attack: an ordinary user, and root where the tests run as root.
pub fn users() -> Vec<User> {
    if is_root() { vec![User::ordinary(), User::myself()] } else { vec![User::ordinary()] }
}

/// Runs an attack outside of the sandbox, in a folder of the user's.
pub fn outside(user: &User, attack: &str) -> Finished {
    finish(user.command(control()).arg(attack).current_dir(user.folder("playground")))
}

/// Runs an attack inside the sandbox, with more options.
pub fn inside(user: &User, options: &[&str], attack: &str) -> Finished {
    let image = image("tests/programs/hostile");
    let mut all = vec!["run", "-m", "32M"];
    all.extend(options);
    all.extend([image.to_str().expect("temporary paths are UTF-8"), attack]);
    user.run(all)
}
