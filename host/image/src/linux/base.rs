//! What every Linux system has, whatever the program: directories, accounts, names.
//!
//! Nothing of it comes from this machine but accounts that packages have made for their programs. No account has a
//! password, nor a place for one.

use super::host::Host;
use crate::erofs::{self, ReadError, TreeError};
use crate::image::Image;
use std::path::Path;

/// Directories with their permissions (hier(7)).
const FOLDERS: [(&str, u16); 20] = [
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/opt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/usr/bin", 0o755),
    ("/usr/lib", 0o755),
    ("/usr/local/bin", 0o755),
    ("/usr/sbin", 0o755),
    ("/var/cache", 0o755),
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/spool", 0o755),
    ("/var/tmp", 0o1777),
];
const LINKS: [(&str, &str); 1] = [("/var/run", "/run")];
/// Links into /usr, where this machine has them; elsewhere they are directories.
const MERGED: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];

/// Debian's accounts (base-passwd), each locked: `*` is the hash of no password.
const PASSWD: &str = "\
root:*:0:0:root:/root:/bin/bash
daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:*:2:2:bin:/bin:/usr/sbin/nologin
sys:*:3:3:sys:/dev:/usr/sbin/nologin
sync:*:4:65534:sync:/bin:/bin/sync
games:*:5:60:games:/usr/games:/usr/sbin/nologin
man:*:6:12:man:/var/cache/man:/usr/sbin/nologin
lp:*:7:7:lp:/var/spool/lpd:/usr/sbin/nologin
mail:*:8:8:mail:/var/mail:/usr/sbin/nologin
news:*:9:9:news:/var/spool/news:/usr/sbin/nologin
uucp:*:10:10:uucp:/var/spool/uucp:/usr/sbin/nologin
proxy:*:13:13:proxy:/bin:/usr/sbin/nologin
www-data:*:33:33:www-data:/var/www:/usr/sbin/nologin
backup:*:34:34:backup:/var/backups:/usr/sbin/nologin
list:*:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin
irc:*:39:39:ircd:/run/ircd:/usr/sbin/nologin
_apt:*:42:65534::/nonexistent:/usr/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const GROUPS: &str = "root 0 daemon 1 bin 2 sys 3 adm 4 tty 5 disk 6 lp 7 mail 8 news 9 uucp 10 man 12 proxy 13 kmem 15 \
dialout 20 fax 21 voice 22 cdrom 24 floppy 25 tape 26 sudo 27 audio 29 dip 30 www-data 33 backup 34 operator 37 list 38 \
irc 39 src 40 shadow 42 utmp 43 video 44 sasl 45 plugdev 46 staff 50 games 60 users 100 nogroup 65534";
const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
/// glibc asks nobody but these files and the name server.
const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
";
/// The library OS answers there, for the names that are granted.
const RESOLV: &str = "nameserver 127.0.0.1\n";

/// Adds it all, and tells the accounts. `scripts` are those by which the packages of the program were installed.
pub(crate) fn add(scripts: &[String], host: &mut Host) -> Result<Accounts, TreeError> {
    for path in MERGED {
        if let Ok(place) = host.find(Path::new(path))
            && place.is_dir()
        {
            host.take(&place)?;
        }
    }
    for (path, mode) in FOLDERS {
        host.tree.add_dir(path, mode)?;
    }
    for (path, target) in LINKS {
        if host.tree.is_free(path) {
            host.tree.add_symlink(path, target)?;
        }
    }
    let (mut passwd, mut group) = (PASSWD.to_owned(), groups());
    accounts(scripts, host, &mut passwd, &mut group)?;
    for (path, text) in [
        ("/etc/passwd", &*passwd),
        ("/etc/group", &*group),
        ("/etc/hosts", HOSTS),
        ("/etc/nsswitch.conf", NSSWITCH),
        ("/etc/resolv.conf", RESOLV),
    ] {
        host.tree.add_bytes(path, 0o644, text.into())?;
    }
    Ok(Accounts(passwd))
}

/// The accounts that the image has.
#[derive(Debug)]
pub(crate) struct Accounts(String);

/// The longest /etc/passwd that is looked into, in bytes.
const PASSWD_MOST: u64 = 1 << 20;

impl Accounts {
    /// Those of an image.
    pub(crate) fn of(image: &Image) -> Result<Self, ReadError> {
        let Some((offset, len)) = image.root() else { return Ok(Self(String::new())) };
        let bytes = erofs::content(image.file(), offset, len, "/etc/passwd", PASSWD_MOST)?;
        Ok(Self(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()))
    }

    /// The home directory of a user; `/` of one who has no account, as Docker has it.
    pub(crate) fn home(&self, uid: u32) -> &str {
        let fields = self.0.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut homes = fields.filter_map(|fields| match fields[..] {
            [_, _, number, _, _, home, _] if number.parse() == Ok(uid) => Some(home),
            _ => None,
        });
        homes.next().unwrap_or("/")
    }
}

/// What a system has whether its program uses it or not.
pub(crate) fn kept() -> impl Iterator<Item = &'static Path> {
    let files = ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"];
    let links = LINKS.into_iter().map(|(path, _)| path).chain(MERGED).chain(files).map(Path::new);
    FOLDERS.into_iter().map(|(path, _)| Path::new(path)).chain(links)
}

fn groups() -> String {
    let words: Vec<&str> = GROUPS.split(' ').collect();
    words.chunks_exact(2).map(|pair| format!("{}:*:{}:\n", pair[0], pair[1])).collect()
}

/// Adds the system accounts of this machine that the scripts name.
fn accounts(
    scripts: &[String],
    host: &mut Host,
    passwd: &mut String,
    group: &mut String,
) -> Result<(), TreeError> {
    let named = |name: &str| scripts.iter().any(|script| has_word(script, name));
    let mut primary = Vec::new();
    for line in lines(host, "/etc/passwd") {
        let fields: Vec<&str> = line.split(':').collect();
        if let [name, _, uid, gid, about, home, shell] = fields[..]
            && is_system(uid)
            && named(name)
        {
            passwd.push_str(&format!("{name}:*:{uid}:{gid}:{about}:{home}:{shell}\n"));
            primary.push(gid.to_owned());
            // Its home, where it is one; without what is in it.
            if host.is_real_dir(Path::new(home)) {
                host.take_entry(Path::new(home))?;
            }
        }
    }
    for line in lines(host, "/etc/group") {
        let fields: Vec<&str> = line.split(':').collect();
        if let [name, _, gid, _] = fields[..]
            && is_system(gid)
            && (named(name) || primary.iter().any(|known| known == gid))
        {
            group.push_str(&format!("{name}:*:{gid}:\n"));
        }
    }
    Ok(())
}

fn lines(host: &mut Host, path: &str) -> Vec<String> {
    let bytes = host.read(Path::new(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(Into::into).collect()
}

/// Debian makes accounts for programs in this range.
fn is_system(number: &str) -> bool {
    number.parse::<u32>().is_ok_and(|number| (100..1000).contains(&number))
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    !word.is_empty()
        && text
            .match_indices(word)
            .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_a_password() {
        for line in PASSWD.lines().chain(groups().lines()) {
            assert_eq!(line.split(':').nth(1), Some("*"), "{line}");
        }
        assert_eq!(PASSWD.lines().count(), 18);
        assert!(groups().ends_with("nogroup:*:65534:\n"));
    }

    #[test]
    fn a_user_has_the_home_of_its_account() {
        let accounts = Accounts(PASSWD.into());
        assert_eq!([0, 33, 1234].map(|uid| accounts.home(uid)), ["/root", "/var/www", "/"]);
    }

    #[test]
    fn a_name_is_a_whole_word() {
        assert!(has_word("USER=\"redis\"\n", "redis") && has_word("adduser --system nsd", "nsd"));
        assert!(!has_word("/etc/redis/redis.conf", "redis") && !has_word("redis-server", "redis"));
    }
}
