//! Which files of a package are there for its use at run time.

/// Directories of programs.
const PROGRAMS: [&str; 5] = ["/usr/bin/", "/usr/sbin/", "/usr/games/", "/usr/libexec/", "/usr/local/bin/"];

/// What documents a program, what it is built with, and what is for the system around it: its services, desktop, shells,
/// editors, package tools and debuggers.
const LEFT_OUT: &[&str] = &[
    "/etc/apparmor.d",
    "/etc/apt",
    "/etc/bash_completion.d",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/default",
    "/etc/init",
    "/etc/init.d",
    "/etc/insserv.conf.d",
    "/etc/kernel",
    "/etc/ld.so.conf.d",
    "/etc/logcheck",
    "/etc/logrotate.d",
    "/etc/network",
    "/etc/pam.d",
    "/etc/sudoers.d",
    "/etc/sysctl.d",
    "/etc/systemd",
    "/etc/udev",
    "/etc/ufw",
    "/etc/update-motd.d",
    "/usr/include",
    "/usr/lib/debug",
    "/usr/lib/init",
    "/usr/lib/modprobe.d",
    "/usr/lib/pkgconfig",
    "/usr/lib/systemd",
    "/usr/lib/sysusers.d",
    "/usr/lib/tmpfiles.d",
    "/usr/lib/udev",
    "/usr/lib/valgrind",
    "/usr/lib/x86_64-linux-gnu/cmake",
    "/usr/lib/x86_64-linux-gnu/pkgconfig",
    "/usr/share/aclocal",
    "/usr/share/apparmor",
    "/usr/share/applications",
    "/usr/share/apport",
    "/usr/share/bash-completion",
    "/usr/share/binfmts",
    "/usr/share/bug",
    "/usr/share/cmake",
    "/usr/share/debconf",
    "/usr/share/debhelper",
    "/usr/share/doc",
    "/usr/share/doc-base",
    "/usr/share/emacs",
    "/usr/share/fish",
    "/usr/share/gcc",
    "/usr/share/gdb",
    "/usr/share/gtk-doc",
    "/usr/share/icons",
    "/usr/share/info",
    "/usr/share/initramfs-tools",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/man",
    "/usr/share/menu",
    "/usr/share/metainfo",
    "/usr/share/pixmaps",
    "/usr/share/pkgconfig",
    "/usr/share/polkit-1",
    "/usr/share/python3",
    "/usr/share/vim",
    "/usr/share/zsh",
    // The same times again: counted with leap seconds, and under a second name.
    "/usr/share/zoneinfo/right",
    "/usr/share/zoneinfo/posix",
    "/var/lib/dpkg",
];
const LEFT_OUT_NAMES: [&str; 5] = [".a", ".la", ".pc", ".pod", ".orig"];

/// Character sets that programs convert from and to nowadays; the C library has some 250 more.
const GCONV: [&str; 8] = [
    "gconv-modules",
    "ISO8859-1.so",
    "ISO8859-15.so",
    "CP1252.so",
    "UNICODE.so",
    "UTF-16.so",
    "UTF-32.so",
    "UTF-7.so",
];

/// What companions are taken for.
const COMPANION_DATA: [&str; 9] = [
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
    "/etc/terminfo",
    "/usr/lib/locale/C.utf8",
    "/usr/lib/ssl",
    "/usr/lib/terminfo",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
];

/// Whether it is no documentation and the like.
pub(crate) fn is_run_time(path: &str) -> bool {
    let path = &merged(path);
    if let Some((_, name)) = path.split_once("/gconv/") {
        return GCONV.iter().any(|kept| name.starts_with(kept));
    }
    !LEFT_OUT.iter().any(|folder| is_in(path, folder))
        && !LEFT_OUT_NAMES.iter().any(|end| path.ends_with(end))
}

/// Whether it is there to be executed.
pub(crate) fn is_program(path: &str) -> bool {
    let path = &merged(path);
    PROGRAMS.iter().any(|folder| path.starts_with(folder))
}

/// Whether it is what a companion is taken for.
pub(crate) fn is_companion_data(path: &str) -> bool {
    let path = &merged(path);
    COMPANION_DATA.iter().any(|folder| is_in(path, folder))
}

fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path under /usr of what is listed as if it stood in the root.
fn merged(path: &str) -> String {
    let in_root = ["/bin", "/sbin", "/lib", "/lib64"].iter().any(|folder| is_in(path, folder));
    if in_root { format!("/usr{path}") } else { path.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_told_from_what_documents() {
        for kept in [
            "/usr/lib/python3.11/os.py",
            "/lib/x86_64-linux-gnu/libz.so.1",
            "/etc/nginx/nginx.conf",
            "/usr/share/documents",
            "/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
            "/var/lib/redis",
        ] {
            assert!(is_run_time(kept), "{kept}");
        }
        for left in [
            "/usr/share/doc",
            "/usr/share/doc/x/copyright",
            "/lib/systemd/system/x.service",
            "/usr/lib/x86_64-linux-gnu/libz.a",
            "/usr/lib/x86_64-linux-gnu/gconv/EBCDIC-DE.so",
            "/usr/include/zlib.h",
        ] {
            assert!(!is_run_time(left), "{left}");
        }
    }

    #[test]
    fn programs_are_known_by_where_they_are() {
        assert!(is_program("/bin/sh") && is_program("/usr/sbin/nginx"));
        assert!(!is_program("/usr/bin") && !is_program("/usr/lib/x/bin/y"));
        assert!(is_companion_data("/lib/terminfo/x/xterm") && !is_companion_data("/usr/bin/tic"));
        assert!(is_companion_data("/etc/services") && !is_companion_data("/etc/rpc"));
    }
}
