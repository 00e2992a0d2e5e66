//! Debian's static busybox, unmodified: every applet that needs no fork and says something that can be checked says the
//! same natively. What is left out is listed in the output with its reason.

use kernlet_tests::programs::{LONG, left_out, native, run_as, seal};
use kernlet_tests::{Finished, User, finish_within, need};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Commands in this order, each in what those before it left; a word with `_` has spaces there.
const COMMANDS: &str = "
[ -f text ]
[ -d text ]
[[ a = b ]]
arch
ascii
awk {n+=$1;print_NR,n,toupper($2)}END{printf_\"%.2f\\n\",n/3} text
base64 binary
basename a/b.c .c
bc sum.bc
bzip2 -k text
bunzip2 -c text.bz2
bzcat text.bz2
cal 2 2024
cat text words
chmod 640 words
cp -a text copy
cp -r tree tree2
cmp text binary
cmp text copy
crc32 text binary
cut -d_ -f2 text
date -u -d @1700000000 +%F_%T
dc -e 2_3^p
dd if=text of=part bs=3 skip=1 count=4
diff text words
dirname a/b.c
dos2unix dos
echo -e a\\tb
egrep -c o. text
env -i
expr 6 * 7
expr abc : a\\(.\\)
factor 360 1000003
fallocate -l 5000 room
false
fgrep -n two text
find . -name t* -type f -size -2
fold -w 5 words
grep -rn two .
groups
gzip -k words
gunzip -c words.gz
head -n 2 text
hexdump -C binary
hostid
id
install -m 755 text installed
ipcalc -n -b 192.0.2.77/28
link text linked
ln -s text symbolic
ls -1A
ls -ln text installed symbolic
lzop -c words
lzma -k words
lzcat words.lzma
unlzma -c words.lzma
xz -k words
md5sum text binary
mkdir -p made/deep
mkfifo channel
stat -c %n_%F channel
du text words
mkpasswd -m sha512 -S saltsalt secret
mv copy moved
nl text
od -c binary
paste text words
patch -i change.diff patched
printf %s-%05d\\n a 42
pwd
readlink symbolic
readlink -f made/../symbolic
realpath made
rev text
rm -r tree2
rmdir made/deep
sed -n s/t\\(.\\)/<\\1>/p text
seq 3 2 11
sha1sum text
sha256sum text
sha3sum text
sha512sum text
shred -n 1 moved
sleep 0.01
sort -rn text
stat -c %n_%s_%a_%F text made
strings binary
sync
tac text
tail -n 1 text
tar -cf archive.tar text tree
tar -tvf archive.tar --numeric-owner
test 3 -lt 4
touch -d @1000000000 touched
stat -c %Y touched
true
truncate -s 100 room
uname -s -m
uncompress nothing
unexpand -a words
expand tabs
uniq -c repeated
unix2dos text
dos2unix text
unlink linked
unxz -c words.xz
xzcat words.xz
usleep 10
uuencode text name
uudecode -o decoded encoded
wc text words
which nothing
who
whoami
xxd binary
cpio -t -F archive.cpio
unzip -l archive.zip
logname
mv moved gone/away
chgrp 65534 text
chown 65534:65534 text
sysctl -n kernel.ostype
tr a b
tee new
echo the_end
";

/// Applets that are not run, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "they run other programs, which needs fork or exec",
        "ash sh chroot cttyhack getty ifdown ifup init linuxrc linux32 linux64 login nohup nsenter openvt run-init \
         run-parts runsvdir setsid start-stop-daemon su sulogin svc svok switch_root taskset time timeout ts unshare \
         watch watchdog xargs ionice nice renice rpm dpkg dpkg-deb ar man busybox vlock cron script zcat nologin",
    ),
    (
        "they change or ask a machine's hardware, disks or kernel",
        "acpid adjtimex arp arping blkdiscard blockdev brctl chvt deallocvt depmod devmem dmesg dumpkmap fatattr fdisk \
         findfs freeramdisk fsfreeze fstrim fbset free halt hdparm hwclock i2cdetect i2cdump i2cget i2cset i2ctransfer ifconfig \
         insmod ip ipneigh klogd last link loadfont loadkmap losetup lsmod lsscsi mdev mkdosfs mke2fs mknod mkswap \
         modinfo modprobe mount mt nameif netstat nuke partprobe pivot_root poweroff reboot resume rmmod route setkeycodes \
         swapoff swapon sysctl tc tunctl ubirename uevent umount uptime vconfig w hostname dnsdomainname logread lsusb",
    ),
    ("they look at other processes, of which there are none", "kill killall ps top pidof"),
    (
        "they are servers or clients of the network, which other tests have",
        "ftpget ftpput httpd nc nslookup ping ping6 rdate ssl_client syslogd logger telnet telnetd tftp traceroute \
         traceroute6 udhcpc udhcpc6 udhcpd dumpleases wget crond crontab",
    ),
    (
        "they want a terminal, somebody at it or an end, which tests of terminals have",
        "ed yes clear less microcom more reset stty tty vi getopt passwd watch",
    ),
    (
        "they write packages or ask what differs between machines by nature",
        "rpm2cpio mim df shuf setpriv mktemp nproc",
    ),
];

/// What the commands find.
fn fill(user: &User, name: &str) -> std::path::PathBuf {
    let folder = user.folder(name);
    let binary: Vec<u8> = (0..=255).cycle().take(600).collect();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("the folder is writable");
        user.give(&path);
    };
    put("text", b"1 one\n2 two\n10 three\n");
    put("words", "the quick brown fox\tjumps        over\n".repeat(20).as_bytes());
    put("binary", &binary);
    put("dos", b"a\r\nb\r\n");
    put("tabs", b"a\tb\n\tc\n");
    put("repeated", b"a\na\nb\n");
    put("sum.bc", b"scale=20; 1/7; 2^200; sqrt(2)\nquit\n");
    put("patched", b"one\ntwo\n");
    put("change.diff", b"--- patched\n+++ patched\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
    put("encoded", b"begin 644 name\n#86)C\n`\nend\n");
    user.give(&user.folder(&format!("{name}/tree")));
    put("tree/leaf", b"leaf\n");
    folder
}

/// Names and contents of all files below a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("it is a folder").flatten() {
            let path = entry.path();
            let name = path.strip_prefix(folder).expect("it is below").to_string_lossy().into_owned();
            let kind = entry.file_type().expect("it has a type");
            if kind.is_dir() {
                folders.push(path.clone());
            }
            // What was shredded is random.
            let bytes = if kind.is_file() && name != "moved" {
                std::fs::read(&path).unwrap_or_default()
            } else {
                vec![]
            };
            all.insert(name, bytes);
        }
    }
    all
}

/// Runs every command natively and in a door, each in its own folder; which applets were tried.
fn same_in(door: &str) -> BTreeSet<String> {
    need("busybox", "busybox-static");
    let image = seal("busybox", &[], &format!("busybox-{door}"));
    let listed: BTreeSet<String> = native("busybox", &["--list"]).out.lines().map(str::to_owned).collect();
    let mut tried = BTreeSet::new();
    let user = User::ordinary();
    let (there, here) = (fill(&user, &format!("there-{door}")), fill(&user, &format!("here-{door}")));
    let volume = format!("{}:/work", here.display());
    let options = ["-m", "64M", "-u", "65534:65534", "-v", &volume, "-w", "/work"];
    let mut differing = vec![];
    for line in COMMANDS.lines().filter(|line| !line.is_empty()) {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
        if !listed.contains(&words[0]) {
            continue;
        }
        tried.insert(words[0].clone());
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = user.command("busybox");
        command.args(&arguments).current_dir(&there).env_clear().env("PATH", "/bin").env("HOME", "/");
        let expected = finish_within(&mut command, LONG);
        let got = run_as(&user, door, &options, &image, &arguments);
        // The work folders have different names.
        let place = |text: &str| text.replace(&*there.to_string_lossy(), "/work");
        let same = |a: &Finished, b: &Finished| place(&a.out) == b.out && a.status == b.status;
        if !same(&expected, &got) {
            differing.push(format!("{line}\n natively {expected:?}\n here     {got:?}"));
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    let (there, here) = (contents(&there), contents(&here));
    let names = |all: &BTreeMap<String, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&there), names(&here));
    for (name, bytes) in there {
        assert!(here[&name] == bytes || name.ends_with(".gz") || name.ends_with(".tar"), "{name} differs");
    }
    assert!(tried.len() > 90, "{} were tried", tried.len());
    tried
}

#[test]
fn applets_say_the_same_as_natively_in_a_vm() {
    // The same commands: what is left out is told by the test of the other door.
    same_in("qemu");
}

#[test]
fn applets_say_the_same_as_natively() {
    let tried = same_in("process");
    let listed: BTreeSet<String> = native("busybox", &["--list"]).out.lines().map(str::to_owned).collect();
    let mut rest: BTreeSet<String> = &listed - &tried;
    for (reason, names) in LEFT_OUT {
        let these: Vec<_> = names.split_whitespace().filter(|name| rest.remove(*name)).collect();
        left_out(&format!("busybox {}", these.join(" ")), reason);
    }
    assert!(rest.is_empty(), "neither tried nor left out with a reason: {rest:?}");
}

#[test]
fn a_shell_runs_what_is_built_in_in_both_doors() {
    let image = seal("busybox", &[], "busybox-shell");
    let script = "cd /tmp; for i in 1 2 3; do echo $((i * i)) >> squares; done; read first < squares; \
                  f() { printf '%s|' \"$@\"; }; f a 'b c' \"$first\"; echo; [ -s squares ] && echo filled; \
                  case $PWD in /t*) echo here;; esac; trap 'echo bye' EXIT; pwd; echo ${first#0} ${#PWD}; exit 7";
    let expected = native("busybox", &["sh", "-c", &format!("rm -f /tmp/squares; {script}")]);
    for door in kernlet_tests::programs::DOORS {
        let got = kernlet_tests::programs::run(door, &[], &image, &["sh", "-c", script]);
        kernlet_tests::programs::same(&format!("the shell in door {door}"), &expected, &got);
    }
    let sums = ["sha256sum", "/etc/passwd", "/etc/hosts", "/usr/bin/busybox"];
    let one = kernlet_tests::programs::run("process", &["--hostname", "h"], &image, &sums);
    let other = kernlet_tests::programs::run("qemu", &["--hostname", "h"], &image, &sums);
    kernlet_tests::programs::same("files of the root in both doors", &one, &other);
    assert_eq!(one.out.lines().count(), 3, "{one:?}");
}
