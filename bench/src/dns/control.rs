//! A responder that only looks its answers up: what the loader and the system's sockets allow at most.

use super::socket::BATCH;
use super::zone::{Query, reply};
use crate::cpu;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt::RcvBuf};
use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const HEADER: usize = 12;

/// A running responder, on a thread of its own.
#[derive(Debug)]
pub struct Control {
    /// Where it answers.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    tid: i32,
}

impl Control {
    /// Starts one on the processor `cpu`, with the answers to `queries`.
    pub fn start(queries: &[Query], processor: usize) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        setsockopt(&socket, RcvBuf, &(1 << 20))?;
        let replies: HashMap<Vec<u8>, Vec<u8>> =
            queries.iter().map(|query| (query.packet[HEADER..].to_vec(), reply(query))).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, tid) = std::sync::mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let _ = sender.send(nix::unistd::gettid().as_raw());
            answer(&socket, &replies, &stopped)
        });
        let tid = tid.recv().unwrap_or_default();
        cpu::pin(tid, processor)?;
        Ok(Self { address, stop, thread: Some(thread), tid })
    }

    /// The processor time it has taken.
    pub fn cpu_time(&self) -> Duration {
        cpu::thread_time(std::process::id() as i32, self.tid)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(socket: &UdpSocket, replies: &HashMap<Vec<u8>, Vec<u8>>, stop: &AtomicBool) -> std::io::Result<()> {
    let fd = socket.as_raw_fd();
    let mut incoming = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut buffers = [[0; 512]; BATCH];
    let mut packets = vec![vec![]; BATCH];
    let mut peers = [None; BATCH];
    while !stop.load(Ordering::Relaxed) {
        let mut lengths = [0; BATCH];
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let received = recvmmsg(fd, &mut incoming, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None);
        let mut count = 0;
        // An error here is the end of the time limit.
        for packet in received.into_iter().flatten() {
            (lengths[count], peers[count]) = (packet.bytes, packet.address);
            count += 1;
        }
        for ((buffer, &length), packet) in buffers.iter().zip(&lengths[..count]).zip(&mut packets) {
            packet.clear();
            if let Some(reply) = buffer.get(HEADER..length).and_then(|question| replies.get(question)) {
                packet.extend_from_slice(&buffer[..2]);
                packet.extend_from_slice(&reply[2..]);
            }
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|i| [IoSlice::new(&packets[i])]);
        if count > 0 {
            sendmmsg(fd, &mut outgoing, &slices[..count], &peers[..count], [], MsgFlags::empty())?;
        }
    }
    Ok(())
}
