//! The whole server without its sockets: datagrams, and streams that are cut at any place, in any order.
#![no_main]
#![forbid(unsafe_code)]

use dns::{Frames, Policy, Transport, Zones};
use kernlet_fuzz::Input;
use kernlet_fuzz::zones::{ask, policy, served};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ZONES: LazyLock<Zones> = LazyLock::new(served);
static POLICY: LazyLock<Policy> = LazyLock::new(policy);

/// The largest query over TCP that is read.
const LARGEST: usize = 4096;

/// A connection, with all that came by it.
struct Stream {
    frames: Frames,
    came: Vec<u8>,
    answered: usize,
    broken: bool,
}

impl Stream {
    fn new() -> Self {
        Self { frames: Frames::new(LARGEST), came: Vec::new(), answered: 0, broken: false }
    }

    /// Takes in some bytes, and answers what is whole.
    fn take(&mut self, mut bytes: &[u8], out: &mut [u8]) {
        while !bytes.is_empty() && !self.broken {
            let space = self.frames.space();
            assert!(!space.is_empty() && space.len() <= LARGEST + 2 + 512);
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.frames.filled(count);
            self.came.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            loop {
                match self.frames.next() {
                    Err(_) => self.broken = true,
                    Ok(None) => {}
                    Ok(Some(query)) => {
                        // What comes out is what came in, whatever the cuts.
                        let length = usize::from(u16::from_be_bytes([
                            self.came[self.answered],
                            self.came[self.answered + 1],
                        ]));
                        let whole = self.answered + 2..self.answered + 2 + length;
                        assert_eq!(query, &self.came[whole.clone()]);
                        self.answered = whole.end;
                        self.broken = ask(&ZONES, &POLICY, query, Transport::Tcp, out).is_none();
                        if !self.broken {
                            continue;
                        }
                    }
                }
                break;
            }
        }
        assert_eq!(
            self.frames.partial(),
            self.came.len() > self.answered || self.broken && self.frames.partial()
        );
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let mut out = vec![0; 65535];
    let mut streams = [Stream::new(), Stream::new(), Stream::new()];
    while !input.is_empty() {
        match input.below(5) {
            0 => {
                let query = input.bytes(1280);
                ask(&ZONES, &POLICY, query, Transport::Udp, &mut out[..1280]);
            }
            // A new connection in place of an old one.
            4 => streams[input.below(3)] = Stream::new(),
            which => streams[which - 1].take(input.bytes(600), &mut out),
        }
    }
});
