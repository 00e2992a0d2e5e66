//! The process door on a host whose calls fail now and then, or do only a part.

use kernlet_platform::control::{self, Message};
use kernlet_platform::faults::{Call, Fault, inject};
use kernlet_platform::{Errno, boot, clock, console, event, heap};
use kernlet_wire::boot::{Blob, BlobWriter, Descriptors};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use std::io::Read;
use std::os::fd::{IntoRawFd, OwnedFd};

const fn fails(call: Call, error: Errno) -> (Call, Fault) {
    (call, Fault::Error(error))
}

/// The instance's end becomes its control channel; the monitor's is given back.
fn monitor() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let mut blob = BlobWriter::new();
    blob.descriptors(Descriptors { control: theirs.into_raw_fd(), ..Descriptors::NONE });
    boot::set_blob(Blob::parse(Vec::leak(blob.finish())).unwrap());
    ours
}

#[test]
fn a_heap_that_the_host_refuses_to_grow_stays_as_it_is() {
    for call in [Call::Map, Call::Protect] {
        std::thread::spawn(move || {
            let injection = inject(1, 1000, &[fails(call, Errno::ENOMEM)]);
            assert_eq!(heap::grow(1), None);
            assert_eq!(heap::used(), 0);
            drop(injection);
            let (start, length) = heap::grow(10_000).unwrap();
            assert!(length >= 10_000);
            let _injection =
                inject(1, 1000, &[fails(Call::Protect, Errno::ENOMEM), fails(Call::Map, Errno::ENOMEM)]);
            assert_eq!(heap::grow(1), None);
            assert_eq!(heap::used(), length);
            drop(_injection);
            // The next piece lies right behind the first.
            assert_eq!(heap::grow(1).unwrap().0.addr().get(), start.addr().get() + length);
        })
        .join()
        .unwrap();
    }
}

#[test]
fn advice_that_the_host_does_not_take_changes_nothing() {
    let _injection =
        inject(1, 1000, &[fails(Call::Advise, Errno::EAGAIN), fails(Call::Advise, Errno::ENOMEM)]);
    let pieces: Vec<usize> = (0..60).map(|_| heap::grow(100_000).unwrap().1).collect();
    assert_eq!(pieces.iter().sum::<usize>(), heap::used());
}

#[test]
fn signals_come_in_order_and_once_however_often_the_host_interrupts() {
    let monitor = monitor();
    let rules = [fails(Call::Receive, Errno::EINTR), fails(Call::Receive, Errno::EAGAIN)];
    let injection = inject(3, 500, &rules);
    assert!(control::watch(5));
    let mut buffer = [0; kernlet_wire::control::MAX_MESSAGE];
    for number in 1..=60 {
        send(&monitor, Message::Signal(number).encode(&mut buffer), SendFlags::empty()).unwrap();
    }
    let mut came = Vec::new();
    while came.len() < 60 {
        let mut reported = false;
        event::wait(None, &mut |ready| reported |= ready.token == 5 && ready.readable);
        while let Some(message) = control::receive() {
            came.push(message);
        }
        assert!(reported);
    }
    assert!(came.into_iter().eq((1..=60).map(Message::Signal)));
    assert!(injection.faults() > 10);
}

#[test]
fn a_control_channel_that_closes_says_so_once() {
    let monitor = monitor();
    assert!(control::watch(6));
    drop(monitor);
    let mut reports = 0;
    event::wait(None, &mut |_| reports += 1);
    assert_eq!((reports, control::receive()), (1, None));
    control::send(Message::Exit(0));
    let deadline = clock::monotonic() + 10_000_000;
    event::wait(Some(deadline), &mut |_| reports += 1);
    assert!(clock::monotonic() >= deadline, "an end that was seen does not wake again");
    assert_eq!(reports, 1);
}

#[test]
fn an_interrupted_wait_ends_early_and_reports_nothing() {
    let _injection = inject(1, 1000, &[fails(Call::Wait, Errno::EINTR)]);
    event::wait(Some(clock::monotonic() + 3_600_000_000_000), &mut |ready| panic!("{ready:?}"));
}

#[test]
fn output_is_written_whole_and_once() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // The standard error of this process for a moment, as the door has no other.
    let before = rustix::io::dup(rustix::stdio::stderr()).unwrap();
    rustix::stdio::dup2_stderr(&writer).unwrap();
    drop(writer);
    let wanted: Vec<u8> = (0..30_000u32).map(|i| (i % 251) as u8).collect();
    let text = wanted.clone();
    let child = std::thread::spawn(move || {
        let rules = [
            fails(Call::Write, Errno::EINTR),
            fails(Call::Write, Errno::EAGAIN),
            (Call::Write, Fault::Short),
            fails(Call::Poll, Errno::EINTR),
            fails(Call::Poll, Errno::ENOMEM),
        ];
        let injection = inject(9, 600, &rules);
        text.chunks(3000).for_each(|piece| console::write(console::Stream::Err, piece));
        assert!(injection.faults() > 5 && injection.calls() < 1000, "{}", injection.calls());
        // What cannot be written is dropped, and keeps nobody.
        let broken = inject_broken(injection);
        console::write(console::Stream::Err, b"dropped");
        assert_eq!(broken.calls_of(Call::Write), 1);
    });
    let mut came = vec![0; wanted.len()];
    reader.read_exact(&mut came).unwrap();
    child.join().unwrap();
    rustix::stdio::dup2_stderr(&before).unwrap();
    assert!(came == wanted);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
}

fn inject_broken(before: kernlet_platform::faults::Injection) -> kernlet_platform::faults::Injection {
    drop(before);
    inject(1, 1000, &[fails(Call::Write, Errno::EIO)])
}
