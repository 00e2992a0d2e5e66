//! What crosses the boundary in small messages: boot blob, control messages, broker messages, manifest.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_wire::boot::{Blob, BlobWriter};
use kernlet_wire::broker::{Reply, Request};
use kernlet_wire::control::{MAX_MESSAGE, Message};
use kernlet_wire::{manifest, rewrite};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    match which % 5 {
        0 => blob(bytes),
        1 => control(bytes),
        2 => {
            manifest::exercise(bytes);
            rewrite::exercise(bytes);
        }
        3 => {
            if let Ok((id, request)) = Request::decode(bytes) {
                // One meaning, one form.
                assert_eq!(request.encode(id), bytes);
            }
        }
        _ => {
            if let Ok((id, reply)) = Reply::decode(bytes) {
                let again = reply.encode(id);
                assert_eq!(Reply::decode(&again).map(|(id, _)| id), Ok(id));
            }
        }
    }
});

fn blob(bytes: &[u8]) {
    let trusted = Blob::trusting(bytes);
    let _ = (trusted.arguments().count(), trusted.mounts().count(), trusted.nic(), trusted.descriptors());
    let Ok(blob) = Blob::parse(bytes) else { return };
    let mut again = BlobWriter::new();
    for value in blob.arguments() {
        again.argument(value);
    }
    for value in blob.environment() {
        again.environment(value);
    }
    for mount in blob.mounts() {
        again.mount(mount);
    }
    for port in blob.published() {
        again.published(port);
    }
    if let Some(nic) = blob.nic() {
        again.nic(&nic);
    }
    if let Some(memory) = blob.memory() {
        again.memory(memory);
    }
    let written = again.finish();
    let copy = Blob::parse(&written).expect("what was read can be written");
    assert!(blob.arguments().eq(copy.arguments()) && blob.environment().eq(copy.environment()));
    assert!(blob.mounts().eq(copy.mounts()) && blob.published().eq(copy.published()));
    assert_eq!((blob.nic(), blob.memory()), (copy.nic(), copy.memory()));
    let _ = (blob.hostname(), blob.workdir(), blob.identity(), blob.seed(), blob.wall_clock());
    let _ = (blob.descriptors(), blob.terminal(), blob.outgoing());
}

fn control(mut bytes: &[u8]) {
    while let Ok(Some((message, used))) = Message::decode(bytes) {
        assert!(used > 0 && used <= MAX_MESSAGE);
        assert_eq!(message.encode(&mut [0; MAX_MESSAGE]), &bytes[..used]);
        bytes = &bytes[used..];
    }
}
