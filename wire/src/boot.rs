//! The boot blob: everything that an instance is told when it starts.
//!
//! The monitor writes it; the process door finds it in the loader's memory, the VM door in its PVH module
//! (`-initrd`). A VM that was started without one (`qemu-system-x86_64 -kernel IMAGE`) has an empty blob, and
//! everything takes its default. Layout: an 8-byte magic with the version, then [`crate::tlv`] records.

use crate::tlv::{MANDATORY, Reader, TlvError, Writer};
use alloc::vec::Vec;

/// The first eight bytes of every blob: a name and the version of the layout.
pub const MAGIC: [u8; 8] = *b"KNLBOOT\x01";

mod tag {
    use super::MANDATORY;
    pub const ARGUMENT: u16 = 1;
    pub const ENVIRONMENT: u16 = 2;
    pub const HOSTNAME: u16 = 3;
    pub const WORKDIR: u16 = 4;
    pub const IDENTITY: u16 = 5;
    pub const MEMORY: u16 = 6 | MANDATORY;
    pub const SEED: u16 = 7;
    pub const WALL_CLOCK: u16 = 8;
    pub const PUBLISHED: u16 = 9;
    pub const NIC: u16 = 10;
    pub const MOUNT: u16 = 11 | MANDATORY;
    pub const DESCRIPTORS: u16 = 12;
    pub const TERMINAL: u16 = 13;
    pub const BROKER_NET: u16 = 14;
    pub const STRICT: u16 = 15;
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// A port of the program that the monitor published: on the process door the descriptor of a bound socket. A port that
/// is published at several addresses of the host has as many of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port that the program binds.
    pub port: u16,
    /// The bound (for TCP: listening) host socket on the process door; in a VM its channel on the [`crate::trunk`].
    pub descriptor: i32,
}

/// An IPv4 or IPv6 address with its prefix length; the address fills the first 4 or all 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4.
    V4([u8; 4], u8),
    /// IPv6.
    V6([u8; 16], u8),
}

/// How the own TCP/IP stack configures its Ethernet device. Addresses none: DHCPv4 and SLAAC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NicConfig {
    /// The device's MAC address; `None` lets the device say.
    pub mac: Option<[u8; 6]>,
    /// Static addresses.
    pub addresses: Vec<Address>,
    /// Default routers; prefix lengths have no meaning here.
    pub gateways: Vec<Address>,
    /// The tap's descriptor on the process door, -1 in a VM.
    pub descriptor: i32,
}

/// A volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// The number by which the broker knows it; in a VM its 9p mount tag is `volN`.
    pub id: u32,
    /// The absolute path at which the program sees it.
    pub path: &'a str,
    /// No writing.
    pub read_only: bool,
    /// The volume is a single file, not a directory.
    pub file: bool,
}

/// The descriptors of the process door; -1 for what was not granted. All -1 in a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// Standard input, output and error.
    pub stdio: [i32; 3],
    /// A SOCK_SEQPACKET socket for [`crate::control`] messages.
    pub control: i32,
    /// A SOCK_SEQPACKET socket for [`crate::broker`] messages.
    pub broker: i32,
    /// An empty epoll instance.
    pub epoll: i32,
    /// The image's file, open for reading, of which a Linux program's memory is mapped; a native image does without.
    pub image: i32,
    /// A memory file for memory that a Linux program maps at several places, writable and of fixed size.
    pub shared: i32,
}

impl Descriptors {
    /// No descriptor at all.
    pub const NONE: Self = Self { stdio: [-1; 3], control: -1, broker: -1, epoll: -1, image: -1, shared: -1 };
}

/// Writes a blob.
pub struct BlobWriter(Writer);

impl Default for BlobWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl BlobWriter {
    /// A blob that says nothing yet.
    pub fn new() -> Self {
        Self(Writer::new())
    }

    /// Appends a program argument; the first is the program's name.
    pub fn argument(&mut self, value: &[u8]) -> &mut Self {
        self.0.put(tag::ARGUMENT, value);
        self
    }

    /// Appends an environment entry, `NAME=VALUE`.
    pub fn environment(&mut self, entry: &[u8]) -> &mut Self {
        self.0.put(tag::ENVIRONMENT, entry);
        self
    }

    /// The name of the machine.
    pub fn hostname(&mut self, name: &str) -> &mut Self {
        self.0.put(tag::HOSTNAME, name.as_bytes());
        self
    }

    /// The program's working directory, absolute.
    pub fn workdir(&mut self, path: &str) -> &mut Self {
        self.0.put(tag::WORKDIR, path.as_bytes());
        self
    }

    /// The user and group that the program believes to be.
    pub fn identity(&mut self, uid: u32, gid: u32) -> &mut Self {
        self.0.put_u64(tag::IDENTITY, u64::from(uid) | u64::from(gid) << 32);
        self
    }

    /// How many bytes of memory the instance may use in all.
    pub fn memory(&mut self, bytes: u64) -> &mut Self {
        self.0.put_u64(tag::MEMORY, bytes);
        self
    }

    /// Fresh random bytes from the host's generator.
    pub fn seed(&mut self, seed: &[u8; 32]) -> &mut Self {
        self.0.put(tag::SEED, seed);
        self
    }

    /// The host's wall clock at the start, in nanoseconds since 1970.
    pub fn wall_clock(&mut self, nanoseconds: u64) -> &mut Self {
        self.0.put_u64(tag::WALL_CLOCK, nanoseconds);
        self
    }

    /// Grants a published port.
    pub fn published(&mut self, port: Published) -> &mut Self {
        let mut value = [0u8; 8];
        value[0] = matches!(port.protocol, Protocol::Udp) as u8;
        value[2..4].copy_from_slice(&port.port.to_le_bytes());
        value[4..8].copy_from_slice(&port.descriptor.to_le_bytes());
        self.0.put(tag::PUBLISHED, &value);
        self
    }

    /// Grants an Ethernet device.
    pub fn nic(&mut self, nic: &NicConfig) -> &mut Self {
        let mut value = Vec::new();
        value.extend_from_slice(&nic.descriptor.to_le_bytes());
        value.push(nic.mac.is_some() as u8);
        value.extend_from_slice(&nic.mac.unwrap_or_default());
        for (kind, list) in [(0u8, &nic.addresses), (1, &nic.gateways)] {
            for address in list {
                let (bytes, prefix): (&[u8], u8) = match address {
                    Address::V4(a, p) => (a, *p),
                    Address::V6(a, p) => (a, *p),
                };
                value.extend_from_slice(&[kind, bytes.len() as u8, prefix]);
                value.extend_from_slice(bytes);
            }
        }
        self.0.put(tag::NIC, &value);
        self
    }

    /// Grants a volume.
    pub fn mount(&mut self, mount: Mount<'_>) -> &mut Self {
        let mut value = Vec::new();
        value.extend_from_slice(&mount.id.to_le_bytes());
        value.extend_from_slice(&[mount.read_only as u8, mount.file as u8]);
        value.extend_from_slice(mount.path.as_bytes());
        self.0.put(tag::MOUNT, &value);
        self
    }

    /// The descriptors of the process door.
    pub fn descriptors(&mut self, d: Descriptors) -> &mut Self {
        let mut value = [0u8; 32];
        let all = [d.stdio[0], d.stdio[1], d.stdio[2], d.control, d.broker, d.epoll, d.image, d.shared];
        for (chunk, descriptor) in value.chunks_exact_mut(4).zip(all) {
            chunk.copy_from_slice(&descriptor.to_le_bytes());
        }
        self.0.put(tag::DESCRIPTORS, &value);
        self
    }

    /// Standard input and output are a terminal.
    pub fn terminal(&mut self) -> &mut Self {
        self.0.put(tag::TERMINAL, &[]);
        self
    }

    /// A system call that is not implemented ends the program.
    pub fn strict(&mut self) -> &mut Self {
        self.0.put(tag::STRICT, &[]);
        self
    }

    /// The broker makes outgoing connections for this instance (`--allow-connect` was given).
    pub fn outgoing(&mut self) -> &mut Self {
        self.0.put(tag::BROKER_NET, &[]);
        self
    }

    /// The blob's bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.0.finish());
        bytes
    }
}

/// A blob that was checked once; its parts are then read without errors.
#[derive(Clone, Copy)]
pub struct Blob<'a> {
    records: &'a [u8],
}

impl<'a> Blob<'a> {
    /// The blob of an instance that was told nothing.
    pub const EMPTY: Blob<'static> = Blob { records: &[] };

    /// Checks `bytes`, which may be followed by zero padding of less than a page.
    ///
    /// # Errors
    /// [`TlvError`] when the magic, a length or a mandatory record does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TlvError> {
        let records = bytes.strip_prefix(&MAGIC[..]).ok_or(TlvError::BadValue(0))?;
        for record in Reader::new(records) {
            let record = record?;
            match record.tag {
                tag::MEMORY | tag::WALL_CLOCK | tag::IDENTITY => drop(record.u64()?),
                tag::HOSTNAME | tag::WORKDIR => drop(record.text()?),
                tag::MOUNT => drop(parse_mount(record.value).ok_or(TlvError::BadValue(record.tag))?),
                tag::PUBLISHED => drop(parse_published(record.value).ok_or(TlvError::BadValue(record.tag))?),
                tag::NIC => drop(parse_nic(record.value).ok_or(TlvError::BadValue(record.tag))?),
                other if other & MANDATORY != 0 => return Err(TlvError::UnknownMandatory(other)),
                _ => {}
            }
        }
        Ok(Self { records })
    }

    /// Reads a blob that [`Self::parse`] accepted before, without checking it again; bytes that it would refuse read
    /// as an empty blob or as fewer records.
    pub fn trusting(bytes: &'a [u8]) -> Self {
        Self { records: bytes.strip_prefix(&MAGIC[..]).unwrap_or(&[]) }
    }

    fn all(&self, tag: u16) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        Reader::new(self.records).filter_map(Result::ok).filter(move |r| r.tag == tag).map(|r| r.value)
    }

    fn number(&self, tag: u16) -> Option<u64> {
        self.all(tag).next().and_then(|v| v.try_into().ok()).map(u64::from_le_bytes)
    }

    fn text(&self, tag: u16) -> Option<&'a str> {
        self.all(tag).next().and_then(|v| core::str::from_utf8(v).ok())
    }

    /// The program's arguments, its name first.
    pub fn arguments(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.all(tag::ARGUMENT)
    }

    /// The program's environment, each `NAME=VALUE`.
    pub fn environment(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.all(tag::ENVIRONMENT)
    }

    /// The machine's name.
    pub fn hostname(&self) -> Option<&'a str> {
        self.text(tag::HOSTNAME)
    }

    /// The program's working directory.
    pub fn workdir(&self) -> Option<&'a str> {
        self.text(tag::WORKDIR)
    }

    /// User and group, 0:0 unless said.
    pub fn identity(&self) -> (u32, u32) {
        let both = self.number(tag::IDENTITY).unwrap_or(0);
        (both as u32, (both >> 32) as u32)
    }

    /// The memory limit in bytes.
    pub fn memory(&self) -> Option<u64> {
        self.number(tag::MEMORY)
    }

    /// Random bytes from the host.
    pub fn seed(&self) -> Option<[u8; 32]> {
        self.all(tag::SEED).next().and_then(|v| v.try_into().ok())
    }

    /// The wall clock at the start, nanoseconds since 1970.
    pub fn wall_clock(&self) -> Option<u64> {
        self.number(tag::WALL_CLOCK)
    }

    /// Published ports.
    pub fn published(&self) -> impl Iterator<Item = Published> + Clone + use<'a> {
        self.all(tag::PUBLISHED).filter_map(parse_published)
    }

    /// The Ethernet device's configuration.
    pub fn nic(&self) -> Option<NicConfig> {
        self.all(tag::NIC).next().and_then(parse_nic)
    }

    /// Volumes.
    pub fn mounts(&self) -> impl Iterator<Item = Mount<'a>> + Clone + use<'a> {
        self.all(tag::MOUNT).filter_map(parse_mount)
    }

    /// The descriptors of the process door.
    pub fn descriptors(&self) -> Descriptors {
        let Some(value) = self.all(tag::DESCRIPTORS).next().filter(|v| v.len() == 32) else {
            return Descriptors::NONE;
        };
        let at = |i: usize| value.get(i * 4..i * 4 + 4).map_or(-1, read_i32);
        Descriptors {
            stdio: [at(0), at(1), at(2)],
            control: at(3),
            broker: at(4),
            epoll: at(5),
            image: at(6),
            shared: at(7),
        }
    }

    /// Whether standard input and output are a terminal.
    pub fn terminal(&self) -> bool {
        self.all(tag::TERMINAL).next().is_some()
    }

    /// Whether a system call that is not implemented ends the program.
    pub fn strict(&self) -> bool {
        self.all(tag::STRICT).next().is_some()
    }

    /// Whether the broker makes outgoing connections.
    pub fn outgoing(&self) -> bool {
        self.all(tag::BROKER_NET).next().is_some()
    }
}

fn read_i32(bytes: &[u8]) -> i32 {
    bytes.try_into().map_or(-1, i32::from_le_bytes)
}

fn parse_published(value: &[u8]) -> Option<Published> {
    let value: &[u8; 8] = value.try_into().ok()?;
    let protocol = if value[0] == 0 { Protocol::Tcp } else { Protocol::Udp };
    Some(Published {
        protocol,
        port: u16::from_le_bytes([value[2], value[3]]),
        descriptor: read_i32(&value[4..8]),
    })
}

fn parse_mount(value: &[u8]) -> Option<Mount<'_>> {
    let (id, rest) = value.split_first_chunk::<4>()?;
    let (&[read_only, file], path) = rest.split_first_chunk::<2>()?;
    let path = core::str::from_utf8(path).ok().filter(|p| p.starts_with('/'))?;
    Some(Mount { id: u32::from_le_bytes(*id), path, read_only: read_only != 0, file: file != 0 })
}

fn parse_nic(value: &[u8]) -> Option<NicConfig> {
    let (descriptor, rest) = value.split_first_chunk::<4>()?;
    let (&[has_mac], rest) = rest.split_first_chunk::<1>()?;
    let (mac, mut rest) = rest.split_first_chunk::<6>()?;
    let mut nic = NicConfig {
        mac: (has_mac != 0).then_some(*mac),
        descriptor: i32::from_le_bytes(*descriptor),
        ..NicConfig::default()
    };
    while let Some((&[kind, length, prefix], tail)) = rest.split_first_chunk::<3>() {
        let bytes = tail.get(..usize::from(length))?;
        let address = match length {
            4 if prefix <= 32 => Address::V4(bytes.try_into().ok()?, prefix),
            16 if prefix <= 128 => Address::V6(bytes.try_into().ok()?, prefix),
            _ => return None,
        };
        if kind == 0 {
            nic.addresses.push(address)
        } else {
            nic.gateways.push(address)
        }
        rest = &tail[usize::from(length)..];
    }
    rest.is_empty().then_some(nic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn everything_written_is_read_back() {
        let nic = NicConfig {
            mac: Some([2, 0, 0, 0, 0, 1]),
            addresses: alloc::vec![Address::V4([10, 0, 0, 2], 24), Address::V6([1; 16], 64)],
            gateways: alloc::vec![Address::V4([10, 0, 0, 1], 0)],
            descriptor: 9,
        };
        let port = Published { protocol: Protocol::Udp, port: 53, descriptor: 7 };
        let again = Published { descriptor: 8, ..port };
        let mount = Mount { id: 3, path: "/zones", read_only: true, file: false };
        let fds = Descriptors { stdio: [0, 1, 2], control: 3, broker: -1, epoll: 5, image: 6, shared: 7 };
        let mut w = BlobWriter::new();
        w.argument(b"dns").argument(b"-v").environment(b"A=b").hostname("h").workdir("/w").identity(1, 2);
        w.memory(1 << 28)
            .seed(&[7; 32])
            .wall_clock(5)
            .published(port)
            .published(again)
            .nic(&nic)
            .mount(mount)
            .descriptors(fds);
        let bytes = w.finish();
        let blob = Blob::parse(&bytes).unwrap();
        assert!(blob.arguments().eq([&b"dns"[..], b"-v"]));
        assert!(blob.environment().eq([b"A=b"]));
        assert_eq!((blob.hostname(), blob.workdir(), blob.identity()), (Some("h"), Some("/w"), (1, 2)));
        assert_eq!((blob.memory(), blob.seed(), blob.wall_clock()), (Some(1 << 28), Some([7; 32]), Some(5)));
        assert!(blob.published().eq([port, again]));
        assert_eq!(blob.nic(), Some(nic));
        assert!(blob.mounts().eq([mount]));
        assert_eq!(blob.descriptors(), fds);
        assert!(!blob.terminal() && !blob.outgoing());
    }

    #[test]
    fn an_unknown_mandatory_record_is_refused_and_an_optional_one_skipped() {
        let mut w = Writer::new();
        w.put(0x7000, b"later");
        let bytes = [&MAGIC[..], &w.finish()].concat();
        assert!(Blob::parse(&bytes).is_ok());
        let mut w = Writer::new();
        w.put(0xf000, b"later");
        let bytes = [&MAGIC[..], &w.finish()].concat();
        assert_eq!(Blob::parse(&bytes).err(), Some(TlvError::UnknownMandatory(0xf000)));
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&MAGIC[..], &body].concat();
            if let Ok(blob) = Blob::parse(&bytes) {
                let _ = (blob.nic(), blob.descriptors(), blob.mounts().count(), blob.published().count());
                let _ = (blob.memory(), blob.seed(), blob.arguments().count(), blob.identity());
            }
        }
    }
}
