//! Sockets, by the calls that a program makes.

mod inet;
mod unix;

use super::address::{self, Address};
use crate::Errno;
use crate::call::{Outcome, number};
use crate::testing::{at, call, to};
use crate::thread::Thread;
use alloc::rc::Rc;
use std::vec::Vec;

const NON_BLOCKING: u64 = 0o4000;

/// An address as bytes.
fn bytes(address: &Address) -> Vec<u8> {
    let (bytes, length) = address.encode();
    bytes[..length].to_vec()
}

fn ip(text: &str) -> Vec<u8> {
    bytes(&Address::Ip(text.parse().unwrap()))
}

async fn socket(thread: &Rc<Thread>, family: u64, kind: u64) -> u64 {
    call(thread, number::SOCKET, &[family, kind, 0]).await.unwrap()
}

async fn bind(thread: &Rc<Thread>, fd: u64, address: &[u8]) -> Outcome {
    call(thread, number::BIND, &[fd, at(address), address.len() as u64]).await
}

async fn connect(thread: &Rc<Thread>, fd: u64, address: &[u8]) -> Outcome {
    call(thread, number::CONNECT, &[fd, at(address), address.len() as u64]).await
}

async fn send(thread: &Rc<Thread>, fd: u64, bytes: &[u8], flags: u64) -> Outcome {
    call(thread, number::SENDTO, &[fd, at(bytes), bytes.len() as u64, flags]).await
}

async fn receive(thread: &Rc<Thread>, fd: u64, most: usize, flags: u64) -> Result<Vec<u8>, Errno> {
    let mut buffer = std::vec![0; most];
    let length = call(thread, number::RECVFROM, &[fd, to(&mut buffer[..]), most as u64, flags]).await?;
    buffer.truncate(length as usize);
    Ok(buffer)
}

async fn close(thread: &Rc<Thread>, fd: u64) {
    call(thread, number::CLOSE, &[fd]).await.unwrap();
}

/// What getsockname or getpeername tells.
async fn name(thread: &Rc<Thread>, number: u64, fd: u64) -> Result<Address, Errno> {
    let (mut bytes, mut length) = ([0u8; 128], 128u32);
    call(thread, number, &[fd, to(&mut bytes), to(&mut length)]).await?;
    address::read(bytes.as_ptr() as usize, core::hint::black_box(length) as usize)
}

/// What poll(2) tells at once.
async fn poll(thread: &Rc<Thread>, fd: u64, events: u16) -> u16 {
    let mut entry = [fd as u32, u32::from(events)];
    call(thread, number::POLL, &[to(&mut entry), 1, 0]).await.unwrap();
    (core::hint::black_box(entry)[1] >> 16) as u16
}

async fn option(thread: &Rc<Thread>, fd: u64, level: u64, option: u64) -> Result<u32, Errno> {
    let (mut value, mut length) = (0u32, 4u32);
    call(thread, number::GETSOCKOPT, &[fd, level, option, to(&mut value), to(&mut length)]).await?;
    Ok(core::hint::black_box(value))
}

async fn set_option(thread: &Rc<Thread>, fd: u64, level: u64, option: u64, value: u32) -> Outcome {
    call(thread, number::SETSOCKOPT, &[fd, level, option, at(&value), 4]).await
}
