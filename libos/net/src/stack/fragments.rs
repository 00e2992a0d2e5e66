//! Whole packets out of IPv4 fragments. smoltcp puts them together and hands them to a raw socket; from there they
//! are taken as if they had come in one frame, so that they find their sockets the usual way and are summed.

use super::packet::{ETHERNET, TCP, UDP};
use alloc::vec::Vec;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::raw;
use smoltcp::storage::{PacketBuffer, PacketMetadata};
use smoltcp::wire::{IpProtocol, IpVersion};

/// Room for one packet of any size; it is taken out at once.
const ROOM: usize = 64 * 1024;

/// The raw sockets, made when the first fragment comes.
#[derive(Default)]
pub struct Fragments(Option<(SocketSet<'static>, [SocketHandle; 2])>);

impl Fragments {
    fn get(&mut self) -> &mut (SocketSet<'static>, [SocketHandle; 2]) {
        self.0.get_or_insert_with(|| {
            let mut set = SocketSet::new(Vec::with_capacity(2));
            let handles = [TCP, UDP].map(|protocol| {
                let room = PacketBuffer::new(alloc::vec![PacketMetadata::EMPTY; 2], alloc::vec![0; ROOM]);
                let none = PacketBuffer::new(Vec::new(), Vec::new());
                let protocol = IpProtocol::from(protocol);
                set.add(raw::Socket::new(Some(IpVersion::Ipv4), Some(protocol), room, none))
            });
            (set, handles)
        })
    }

    /// The sockets to give to smoltcp with a fragment.
    pub fn sockets(&mut self) -> &mut SocketSet<'static> {
        &mut self.get().0
    }

    /// The packet that `fragment`, just given to smoltcp, has made whole, as a frame.
    pub fn whole(&mut self, fragment: &[u8]) -> Option<Vec<u8>> {
        let (set, handles) = self.get();
        let packet = handles.iter().find_map(|&handle| {
            let socket = set.get_mut::<raw::Socket<'_>>(handle);
            socket.recv().ok().map(<[u8]>::to_vec)
        })?;
        Some([fragment.get(..ETHERNET)?, &packet].concat())
    }
}
