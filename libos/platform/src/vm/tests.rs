//! Drivers against devices that are honest, silent, broken, or make it up as they go.

use super::exercise::{Echo, Ports, Repeat, Sevens, exercise};
use super::ports::Role;
use super::virtio::kind;
use super::virtio::model::{Behaviour, Offer, Powered, Then, power_on};
use super::{entropy, nic, p9, ports};
use crate::Errno;
use crate::nic::Offload;
use proptest::prelude::*;
use std::boxed::Box;
use std::vec::Vec;

fn machine(kind: u16, config: &[u8], behaviour: impl Behaviour + 'static, then: Then) -> Powered {
    scripted(kind, config, behaviour, &[], then)
}

fn scripted(
    kind: u16,
    config: &[u8],
    behaviour: impl Behaviour + 'static,
    script: &[u8],
    then: Then,
) -> Powered {
    let behaviour = Box::new(behaviour);
    let (config, features) = (config.to_vec(), u64::MAX);
    power_on(
        std::vec![Offer { kind, legacy: false, features, config, queue_size: 64, behaviour }],
        script,
        then,
    )
}

const NET_CONFIG: [u8; 12] = [2, 0, 0, 0, 0, 9, 1, 0, 1, 0, 0xdc, 5];

#[test]
fn frames_go_out_and_come_in_and_a_full_queue_says_so() {
    let _machine = machine(kind::NET, &NET_CONFIG, Echo::default(), Then::Honest);
    let facts = nic::open().unwrap();
    assert_eq!((facts.mac, facts.mtu), ([2, 0, 0, 0, 0, 9], 1500));
    for round in 0..500u16 {
        nic::transmit(60, &mut |frame| {
            frame[..2].copy_from_slice(&round.to_le_bytes());
            Offload::None
        })
        .unwrap();
        nic::flush();
        let mut came = None;
        while came.is_none() {
            nic::receive(&mut |frame, _| came = Some((frame.len(), frame[0], frame[1])));
        }
        assert_eq!(came, Some((60, round as u8, (round >> 8) as u8)));
    }
}

#[test]
fn a_network_that_never_takes_a_frame_stops_nobody() {
    let _machine = machine(kind::NET, &NET_CONFIG, Echo::default(), Then::Silent);
    nic::open().unwrap();
    let mut sent = 0;
    while nic::transmit(60, &mut |_| Offload::None).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 64);
    assert_eq!(nic::transmit(60, &mut |_| Offload::None), Err(Errno::EAGAIN));
    assert!(!nic::can_transmit() && !nic::receive(&mut |_, _| {}));
}

#[test]
fn a_device_that_says_a_tiny_mtu_is_not_believed() {
    let mut config = NET_CONFIG;
    config[10..].copy_from_slice(&[20, 0]);
    let _machine = machine(kind::NET, &config, Echo::default(), Then::Honest);
    assert_eq!(nic::open().unwrap().mtu, 1280);
}

#[test]
fn a_silent_source_of_entropy_is_given_up_for_good() {
    let silent = machine(kind::RNG, &[], Sevens, Then::Silent);
    assert_eq!(entropy::device_seed(), None);
    assert_eq!(entropy::device_seed(), None);
    drop(silent);
    let _machine = machine(kind::RNG, &[], Sevens, Then::Honest);
    assert_eq!(entropy::device_seed(), Some([7; 32]));
}

#[test]
fn a_source_that_says_it_wrote_more_than_there_is_room_fills_only_that() {
    // A request done whose length is a lie.
    let _machine = scripted(kind::RNG, &[], Sevens, &[9, 0xff, 0xff, 0xff, 0xff], Then::Honest);
    assert_eq!(entropy::device_seed(), Some([7; 32]));
}

#[test]
fn console_ports_are_found_by_name_written_and_read() {
    let _machine = machine(kind::CONSOLE, &[], Ports::default(), Then::Honest);
    assert!(ports::write(Role::Output, &[b'x'; 10_000]));
    let (mut buffer, mut total) = ([0; 100], 0);
    while let Some(Ok(length @ 1..)) = ports::read(Role::Output, &mut buffer) {
        assert!(buffer[..length].iter().all(|&b| b == b'x'));
        total += length;
    }
    assert_eq!(total, 10_000);
    assert_eq!(ports::read(Role::Control, &mut buffer), Some(Err(Errno::EAGAIN)));
}

#[test]
fn a_console_that_takes_no_message_has_no_ports_and_stops_nobody() {
    let _machine = machine(kind::CONSOLE, &[], Ports::default(), Then::Silent);
    assert!(!ports::write(Role::Output, b"lost"));
    assert_eq!(ports::read(Role::Input, &mut [0; 10]), None);
}

#[test]
fn a_device_that_broke_the_rules_ends_requests_and_takes_no_more() {
    let config = [4, 0, b'v', b'o', b'l', b'0'];
    // After two turns in which nothing happens it gives back a request that never was.
    let script = [15, 15, 11, 0, 0, 0, 77];
    let _machine = scripted(kind::P9, &config, Repeat, &script, Then::Silent);
    let device = p9::open("vol0").unwrap();
    let slot = p9::submit(device, b"request", 100).unwrap();
    let mut replies = Vec::new();
    for _ in 0..5 {
        p9::take(device, slot, &mut |reply| replies.push(reply.len()));
    }
    assert_eq!(replies.first(), Some(&0), "an empty reply, which no reader of replies takes for one");
    assert_eq!(p9::submit(device, b"request", 100), Err(Errno::EIO));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_device_breaks_a_driver(bytes in proptest::collection::vec(any::<u8>(), 4..300)) {
        exercise(&bytes);
    }
}
