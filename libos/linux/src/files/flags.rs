//! Flags of open(2) and fcntl(2), as include/uapi/asm-generic/fcntl.h has them.

/// O_ACCMODE.
pub const ACCESS: u32 = 3;
/// O_WRONLY.
pub const WRITE_ONLY: u32 = 1;
/// O_RDWR.
pub const READ_WRITE: u32 = 2;
/// O_CREAT.
pub const CREATE: u32 = 0o100;
/// O_EXCL.
pub const EXCLUSIVE: u32 = 0o200;
/// O_NOCTTY.
pub const NO_CONTROL: u32 = 0o400;
/// O_TRUNC.
pub const TRUNCATE: u32 = 0o1000;
/// O_APPEND.
pub const APPEND: u32 = 0o2000;
/// O_NONBLOCK.
pub const NON_BLOCKING: u32 = 0o4000;
/// O_DSYNC.
pub const DATA_SYNC: u32 = 0o10000;
/// O_ASYNC.
pub const ASYNC: u32 = 0o20000;
/// O_DIRECT.
pub const DIRECT: u32 = 0o40000;
/// O_LARGEFILE, which every file of a 64-bit program has.
pub const LARGE: u32 = 0o100_000;
/// O_DIRECTORY.
pub const DIRECTORY: u32 = 0o200_000;
/// O_NOFOLLOW.
pub const NO_FOLLOW: u32 = 0o400_000;
/// O_NOATIME.
pub const NO_ACCESS_TIME: u32 = 0o1_000_000;
/// O_CLOEXEC.
pub const CLOSE_ON_EXEC: u32 = 0o2_000_000;
/// O_SYNC without O_DSYNC.
pub const SYNC: u32 = 0o4_000_000;
/// O_PATH.
pub const PATH: u32 = 0o10_000_000;
/// O_TMPFILE without O_DIRECTORY.
pub const UNNAMED: u32 = 0o20_000_000;
/// Those that fcntl(2) F_SETFL changes.
pub const SETTABLE: u32 = APPEND | ASYNC | DIRECT | NO_ACCESS_TIME | NON_BLOCKING;
/// Those that are known.
pub const ALL: u32 = ACCESS
    | CREATE
    | EXCLUSIVE
    | NO_CONTROL
    | TRUNCATE
    | APPEND
    | NON_BLOCKING
    | DATA_SYNC
    | ASYNC
    | DIRECT
    | LARGE
    | DIRECTORY
    | NO_FOLLOW
    | NO_ACCESS_TIME
    | CLOSE_ON_EXEC
    | SYNC
    | PATH
    | UNNAMED;

/// AT_FDCWD.
pub const CWD: i32 = -100;
/// AT_SYMLINK_NOFOLLOW.
pub const AT_NO_FOLLOW: u32 = 0x100;
/// AT_REMOVEDIR, and AT_EACCESS of faccessat2(2).
pub const AT_REMOVE_DIRECTORY: u32 = 0x200;
/// AT_EACCESS.
pub const AT_EFFECTIVE: u32 = 0x200;
/// AT_SYMLINK_FOLLOW.
pub const AT_FOLLOW: u32 = 0x400;
/// AT_NO_AUTOMOUNT.
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
/// AT_EMPTY_PATH.
pub const AT_EMPTY_PATH: u32 = 0x1000;
/// AT_STATX_FORCE_SYNC and AT_STATX_DONT_SYNC.
pub const AT_SYNC: u32 = 0x6000;
