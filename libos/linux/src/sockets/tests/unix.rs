//! UNIX sockets.

use super::*;
use crate::sockets::address::Name;
use crate::testing::run;
use kernlet_exec::spawn;

const UNIX: u64 = 1;

async fn pair(thread: &Rc<Thread>, kind: u64) -> [u64; 2] {
    let mut two = [0i32; 2];
    call(thread, number::SOCKETPAIR, &[UNIX, kind, 0, to(&mut two)]).await.unwrap();
    core::hint::black_box(two).map(|fd| fd as u64)
}

/// Sends bytes with a control message.
async fn send_with(thread: &Rc<Thread>, fd: u64, bytes: &[u8], control: &[u8]) -> Outcome {
    let vector = [at(bytes), bytes.len() as u64];
    let header = [0, 0, at(&vector), 1, at(control), control.len() as u64, 0];
    call(thread, number::SENDMSG, &[fd, at(&header), 0]).await
}

/// Receives bytes, control messages and flags.
async fn receive_with(thread: &Rc<Thread>, fd: u64, room: usize) -> (Vec<u8>, Vec<u8>, u64) {
    let (mut bytes, mut control) = (std::vec![0u8; 64], std::vec![0u8; room]);
    let vector = [to(&mut bytes[..]), 64];
    let mut header = [0, 0, at(&vector), 1, to(&mut control[..]), room as u64, 0];
    let length = call(thread, number::RECVMSG, &[fd, to(&mut header), 0]).await.unwrap();
    let header = core::hint::black_box(header);
    bytes.truncate(length as usize);
    control.truncate(header[5] as usize);
    (bytes, control, header[6])
}

fn control(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut message = (16 + data.len() as u64).to_le_bytes().to_vec();
    message.extend(1u32.to_le_bytes());
    message.extend(kind.to_le_bytes());
    message.extend(data);
    message.resize(message.len().next_multiple_of(8), 0);
    message
}

#[test]
fn a_pair_of_streams_joins_what_is_written_and_packets_stay_apart() {
    run(|thread| async move {
        let [one, other] = pair(&thread, 1).await;
        send(&thread, one, b"ab", 0).await.unwrap();
        send(&thread, one, b"cd", 0).await.unwrap();
        assert_eq!(receive(&thread, other, 3, 0).await.unwrap(), b"abc");
        assert_eq!(receive(&thread, other, 3, 0).await.unwrap(), b"d");
        assert_eq!(receive(&thread, other, 3, 0x40).await, Err(Errno::EAGAIN));
        close(&thread, one).await;
        assert_eq!(poll(&thread, other, 0x2005).await, 0x2015);
        assert_eq!(receive(&thread, other, 3, 0).await.unwrap(), b"");
        assert_eq!(send(&thread, other, b"x", 0x4000).await, Err(Errno::EPIPE));
        for kind in [2, 5] {
            let [one, other] = pair(&thread, kind).await;
            send(&thread, one, b"abc", 0).await.unwrap();
            send(&thread, one, b"d", 0).await.unwrap();
            assert_eq!(receive(&thread, other, 2, 0).await.unwrap(), b"ab");
            assert_eq!(receive(&thread, other, 2, 0).await.unwrap(), b"d");
        }
    });
}

#[test]
fn descriptors_go_along_and_what_there_is_no_room_for_is_closed() {
    run(|thread| async move {
        let [one, other] = pair(&thread, 1).await;
        let event = call(&thread, number::EVENTFD2, &[5, 0]).await.unwrap();
        let files = control(1, &[(event as u32).to_le_bytes(), (event as u32).to_le_bytes()].concat());
        send_with(&thread, one, b"x", &files).await.unwrap();
        close(&thread, event).await;
        let (bytes, come, flags) = receive_with(&thread, other, 64).await;
        assert_eq!((&bytes[..], come.len(), flags), (&b"x"[..], 24, 0));
        let fd = u64::from(come[16]);
        let mut value = 0u64;
        assert_eq!(call(&thread, number::READ, &[fd, to(&mut value), 8]).await, Ok(8));
        assert_eq!(core::hint::black_box(value), 5);
        let files = control(1, &[(fd as u32).to_le_bytes(), (fd as u32).to_le_bytes()].concat());
        send_with(&thread, one, b"y", &files).await.unwrap();
        let (_, come, flags) = receive_with(&thread, other, 20).await;
        assert_eq!((come.len(), flags), (20, 8));
        let wrong = control(1, &99u32.to_le_bytes());
        assert_eq!(send_with(&thread, one, b"z", &wrong).await, Err(Errno::EBADF));
    });
}

#[test]
fn who_sends_is_told_to_who_asks() {
    run(|thread| async move {
        let [one, other] = pair(&thread, 1).await;
        set_option(&thread, other, 1, 16, 1).await.unwrap();
        send(&thread, one, b"x", 0).await.unwrap();
        let (_, come, _) = receive_with(&thread, other, 64).await;
        assert_eq!(&come[12..28], [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (mut identity, mut length) = ([9u32; 3], 12u32);
        let arguments = [one, 1, 17, to(&mut identity), to(&mut length)];
        call(&thread, number::GETSOCKOPT, &arguments).await.unwrap();
        assert_eq!(core::hint::black_box(identity), [1, 0, 0]);
    });
}

#[test]
fn abstract_names_and_paths_are_bound_and_connected_to() {
    run(|thread| async move {
        for name_of in [Name::Abstract(b"service".to_vec()), Name::Path(b"/run/service".to_vec())] {
            let address = bytes(&Address::Unix(name_of.clone()));
            let listener = socket(&thread, UNIX, 1).await;
            bind(&thread, listener, &address).await.unwrap();
            let again = socket(&thread, UNIX, 1).await;
            assert_eq!(bind(&thread, again, &address).await, Err(Errno::EADDRINUSE));
            assert_eq!(connect(&thread, again, &address).await, Err(Errno::ECONNREFUSED));
            call(&thread, number::LISTEN, &[listener, 0]).await.unwrap();
            let other = thread.clone();
            let accepting = spawn("accepts", async move {
                let fd = call(&other, number::ACCEPT, &[listener, 0, 0]).await.unwrap();
                send(&other, fd, b"hello", 0).await.unwrap();
                fd
            });
            connect(&thread, again, &address).await.unwrap();
            assert_eq!(receive(&thread, again, 5, 0x100).await.unwrap(), b"hello");
            let accepted = accepting.join().await.unwrap();
            assert_eq!(name(&thread, number::GETPEERNAME, again).await, Ok(Address::Unix(name_of.clone())));
            assert_eq!(name(&thread, number::GETSOCKNAME, accepted).await, Ok(Address::Unix(name_of)));
            close(&thread, listener).await;
            let late = socket(&thread, UNIX, 1).await;
            assert_eq!(connect(&thread, late, &address).await, Err(Errno::ECONNREFUSED));
        }
        let missing = bytes(&Address::Unix(Name::Path(b"/run/missing".to_vec())));
        let late = socket(&thread, UNIX, 1).await;
        assert_eq!(connect(&thread, late, &missing).await, Err(Errno::ENOENT));
        // Without a name one is chosen.
        bind(&thread, late, &bytes(&Address::Unix(Name::Unnamed))).await.unwrap();
        let Ok(Address::Unix(Name::Abstract(chosen))) = name(&thread, number::GETSOCKNAME, late).await else {
            panic!("an abstract name is chosen");
        };
        assert_eq!(chosen.len(), 5);
    });
}

#[test]
fn a_full_queue_of_connections_has_the_next_wait() {
    run(|thread| async move {
        let address = bytes(&Address::Unix(Name::Abstract(b"queue".to_vec())));
        let listener = socket(&thread, UNIX, 1).await;
        bind(&thread, listener, &address).await.unwrap();
        call(&thread, number::LISTEN, &[listener, 0]).await.unwrap();
        let first = socket(&thread, UNIX, 1).await;
        connect(&thread, first, &address).await.unwrap();
        let second = socket(&thread, UNIX, 1 | NON_BLOCKING).await;
        assert_eq!(connect(&thread, second, &address).await, Err(Errno::EAGAIN));
        let third = socket(&thread, UNIX, 1).await;
        let other = thread.clone();
        let waiting = spawn("connects", async move { connect(&other, third, &address).await });
        kernlet_exec::yield_now().await;
        assert!(!waiting.is_finished());
        call(&thread, number::ACCEPT, &[listener, 0, 0]).await.unwrap();
        assert_eq!(waiting.join().await, Some(Ok(0)));
    });
}

#[test]
fn datagrams_tell_who_sent_them_and_those_that_are_connected_hear_nobody_else() {
    run(|thread| async move {
        let at_name = |name: &[u8]| bytes(&Address::Unix(Name::Abstract(name.to_vec())));
        let [one, other, third] =
            [socket(&thread, UNIX, 2).await, socket(&thread, UNIX, 2).await, socket(&thread, UNIX, 2).await];
        bind(&thread, one, &at_name(b"one")).await.unwrap();
        bind(&thread, other, &at_name(b"other")).await.unwrap();
        connect(&thread, other, &at_name(b"one")).await.unwrap();
        send(&thread, other, b"hi", 0).await.unwrap();
        let (mut room, mut from, mut length) = ([0u8; 8], [0u8; 128], 128u32);
        let arguments = [one, to(&mut room), 8, 0, to(&mut from), to(&mut length)];
        assert_eq!(call(&thread, number::RECVFROM, &arguments).await, Ok(2));
        assert_eq!(core::hint::black_box(length), 8);
        let to_other = at_name(b"other");
        let arguments = [third, at(b"x"), 1, 0, at(&to_other[..]), to_other.len() as u64];
        assert_eq!(call(&thread, number::SENDTO, &arguments).await, Err(Errno::EPERM));
        close(&thread, one).await;
        assert_eq!(send(&thread, other, b"x", 0).await, Err(Errno::ECONNREFUSED));
    });
}
