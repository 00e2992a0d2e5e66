//! Drivers against devices that lie, stall and answer what nobody asked: what tests and the fuzzer call.
//!
//! The bytes say which driver, what its user does, and what the device does. Whatever they say, no driver panics, hangs
//! the vCPU, hands out bytes that it has not, or lets a device into memory that was not lent to it.

use super::virtio::model::{Behaviour, Offer, Powered, Then, power_on};
use super::virtio::{feature, kind};
use super::{entropy, nic, p9, ports};
use crate::nic::{LARGEST_FRAME, Offload};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ports::Role;

/// What one run does at most.
const MOST: usize = 200;

/// Runs a driver as `bytes` say.
pub fn exercise(bytes: &[u8]) {
    let [which, size, mode, calls, rest @ ..] = bytes else { return };
    let (actions, script) = rest.split_at(usize::from(*calls).min(rest.len()).min(MOST));
    let setup = Setup { size: u16::from(*size), mode: *mode, script };
    match which % 4 {
        0 => drive_network(&setup, actions),
        1 => drive_p9(&setup, actions),
        2 => drive_console(&setup, actions),
        _ => drive_entropy(&setup),
    }
}

/// How the machine is made.
struct Setup<'a> {
    size: u16,
    mode: u8,
    script: &'a [u8],
}

impl Setup<'_> {
    fn power_on(&self, kind: u16, config: Vec<u8>, behaviour: impl Behaviour + 'static) -> Powered {
        self.power_on_then(
            kind,
            config,
            behaviour,
            if self.mode & 4 == 0 { Then::Honest } else { Then::Silent },
        )
    }

    fn power_on_then(
        &self,
        kind: u16,
        config: Vec<u8>,
        behaviour: impl Behaviour + 'static,
        then: Then,
    ) -> Powered {
        let features = if self.mode & 2 == 0 { u64::MAX } else { !feature::EVENT_INDEX };
        let behaviour = Box::new(behaviour);
        let offer =
            Offer { kind, legacy: self.mode & 1 != 0, features, config, queue_size: self.size, behaviour };
        power_on(alloc::vec![offer], self.script, then)
    }
}

/// A network that sends back what it is sent.
#[derive(Default)]
pub struct Echo(VecDeque<Vec<u8>>);

impl Behaviour for Echo {
    fn serve(&mut self, queue: u16, asked: &[u8], _: usize) -> Option<Vec<u8>> {
        if queue == 0 {
            return self.0.pop_front();
        }
        self.0.push_back(asked.to_vec());
        Some(Vec::new())
    }
}

fn drive_network(setup: &Setup<'_>, actions: &[u8]) {
    let mut config = alloc::vec![2, 0, 0, 0, 0, 1, 1, 0, 1, 0];
    config.extend_from_slice(&u16::from_le_bytes([setup.mode, setup.size as u8]).to_le_bytes());
    let _machine = setup.power_on(kind::NET, config, Echo::default());
    let Some(facts) = nic::open() else { return };
    assert!((1280..=9000).contains(&facts.mtu), "{}", facts.mtu);
    let most = if facts.segments { LARGEST_FRAME } else { usize::from(facts.mtu) + 14 };
    for action in actions {
        let length = usize::from(*action) * 8 + 14;
        match action % 4 {
            0 | 1 => drop(nic::receive(&mut |frame, _| {
                assert!(frame.len() <= LARGEST_FRAME + 64, "{}", frame.len())
            })),
            2 => {
                let room = nic::can_transmit();
                let sent = nic::transmit((length << (action >> 4)).min(most), &mut |frame| {
                    frame.fill(*action);
                    Offload::None
                });
                assert!(!room || sent.is_ok());
            }
            _ => nic::flush(),
        }
    }
    assert!(nic::transmit(most + 1, &mut |_| Offload::None).is_err());
}

/// A 9P server that says what it was told, and more.
#[derive(Default)]
pub struct Repeat;

impl Behaviour for Repeat {
    fn serve(&mut self, _: u16, asked: &[u8], room: usize) -> Option<Vec<u8>> {
        Some(asked.iter().copied().cycle().take(room.min(asked.len() * 2)).collect())
    }
}

fn drive_p9(setup: &Setup<'_>, actions: &[u8]) {
    let config = alloc::vec![4, 0, b'v', b'o', b'l', b'0'];
    let _machine = setup.power_on(kind::P9, config, Repeat);
    assert_eq!(p9::open("vol1"), None);
    let Some(device) = p9::open("vol0") else { return };
    let mut waiting: Vec<(u16, usize)> = Vec::new();
    for action in actions {
        if action % 2 == 0 {
            let (request, room) = (usize::from(*action / 2) + 1, usize::from(*action) * 60 + 1);
            if let Ok(slot) = p9::submit(device, &alloc::vec![*action; request], room) {
                assert!(waiting.iter().all(|(s, _)| *s != slot), "a slot in use");
                waiting.push((slot, room));
            }
        } else if !waiting.is_empty() {
            let which = usize::from(*action / 2) % waiting.len();
            let (slot, room) = waiting[which];
            if p9::take(device, slot, &mut |reply| assert!(reply.len() <= room, "more than was asked for")) {
                waiting.swap_remove(which);
            }
        }
    }
    assert!(!p9::take(device, 99, &mut |_| {}));
}

/// A console with the four ports of kernlet; what is written to one comes back by it.
#[derive(Default)]
pub struct Ports {
    said: VecDeque<Vec<u8>>,
    input: [VecDeque<Vec<u8>>; 8],
}

impl Ports {
    fn say(&mut self, port: u32, event: u16, value: u16, name: &[u8]) {
        let head = [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes()].concat();
        self.said.push_back([&head, name].concat());
    }
}

impl Behaviour for Ports {
    fn serve(&mut self, queue: u16, asked: &[u8], _: usize) -> Option<Vec<u8>> {
        match queue {
            2 => self.said.pop_front(),
            3 => {
                let [p0, p1, p2, p3, e0, e1, ..] = *asked else { return Some(Vec::new()) };
                let port = u32::from_le_bytes([p0, p1, p2, p3]);
                match u16::from_le_bytes([e0, e1]) {
                    0 => (1..5).for_each(|port| self.say(port, 1, 1, b"")),
                    3 => {
                        let names = ["kernlet.stdin", "kernlet.stdout", "kernlet.stderr", "kernlet.control"];
                        let name = names.get(port as usize - 1).copied().unwrap_or("?");
                        self.say(port, 6, 1, b"");
                        self.say(port, 7, 0, name.as_bytes());
                    }
                    _ => {}
                }
                Some(Vec::new())
            }
            other if other % 2 == 0 => self.input[usize::from(other / 2) % 8].pop_front(),
            other => {
                self.input[usize::from(other / 2) % 8].push_back(asked.to_vec());
                Some(Vec::new())
            }
        }
    }
}

fn drive_console(setup: &Setup<'_>, actions: &[u8]) {
    // A host that does not read makes the program wait, as a pipe does: in the end it reads.
    let _machine = setup.power_on_then(kind::CONSOLE, Vec::new(), Ports::default(), Then::Honest);
    let mut buffer = [0; 100];
    for action in actions {
        let role = [Role::Input, Role::Output, Role::Error, Role::Control][usize::from(action / 4) % 4];
        match action % 4 {
            0 => drop(ports::write(role, &alloc::vec![*action; usize::from(*action) * 20])),
            1 | 2 => {
                if let Some(Ok(length)) = ports::read(role, &mut buffer) {
                    assert!(length <= buffer.len());
                }
            }
            _ => ports::drain(),
        }
    }
}

/// A source of bytes that are all 7.
pub struct Sevens;

impl Behaviour for Sevens {
    fn serve(&mut self, _: u16, _: &[u8], room: usize) -> Option<Vec<u8>> {
        Some(alloc::vec![7; room])
    }
}

fn drive_entropy(setup: &Setup<'_>) {
    let _machine = setup.power_on(kind::RNG, Vec::new(), Sevens);
    let first = entropy::device_seed();
    // One that failed is not asked again: its buffer may still be its own.
    assert!(first.is_some() || entropy::device_seed().is_none());
}
