//! The few system calls for which no safe interface exists.

use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// TUNSETIFF and TUNSETOFFLOAD (linux/if_tun.h).
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54d0;
/// Sets the length of the header, which a tap keeps from whoever had it open before.
const TUNSETVNETHDRSZ: libc::Ioctl = 0x4004_54d8;
/// IFF_TAP, IFF_NO_PI, IFF_VNET_HDR: Ethernet frames, each with a virtio-net header in front.
const TAP: i16 = 0x0002 | 0x1000 | 0x4000;
/// TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6: frames whose checksum is still to be computed may come, and TCP segments that are
/// longer than the MTU.
const OFFLOADS: usize = 1 | 2 | 4;
/// The length of struct virtio_net_hdr.
static HEADER: libc::c_int = 10;
/// The length of an interface's name, with its zero.
const NAME: usize = 16;

/// struct ifreq, as far as TUNSETIFF reads it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME],
    flags: i16,
    rest: [u8; 22],
}

/// Opens the existing tap `name`: not blocking, with a virtio-net header of 10 bytes in front of each frame, checksum
/// and segmentation offload on.
///
/// # Errors
/// EPERM when it belongs to another user, EBUSY when somebody has it open, EINVAL when it is no tap or was made
/// without `vnet_hdr`, ENOENT or EACCES when /dev/net/tun cannot be opened. A tap that does not exist is made when root
/// asks: check for it first.
pub fn open_tap(name: &str) -> io::Result<OwnedFd> {
    let mut request = InterfaceRequest { name: [0; NAME], flags: TAP, rest: [0; 22] };
    if name.is_empty() || name.len() >= NAME || name.contains('\0') {
        return Err(Errno::INVAL.into());
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let tap = rustix::fs::open("/dev/net/tun", flags, rustix::fs::Mode::empty())?;
    // SAFETY: the kernel reads and writes one ifreq of 40 bytes, which is a live local.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), TUNSETIFF, &raw mut request) })?;
    // SAFETY: the kernel reads an int, which is a static.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), TUNSETVNETHDRSZ, &raw const HEADER) })?;
    // SAFETY: the argument is a number, no address.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), TUNSETOFFLOAD, OFFLOADS) })?;
    Ok(tap)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
