use super::*;
use proptest::prelude::*;
use std::vec::Vec;

fn frame(kind: u8, channel: u32, payload: &[u8]) -> Vec<u8> {
    [&Header { kind, length: payload.len() as u32, channel }.encode()[..], payload].concat()
}

fn output(mux: &mut Mux) -> Vec<(u8, u32, Vec<u8>)> {
    let mut bytes = std::vec![0; 1 << 20];
    let length = mux.take_output(&mut bytes);
    let mut rest = &bytes[..length];
    let mut frames = Vec::new();
    while let Some((header, payload, behind)) = trunk::split(rest) {
        frames.push((header.kind, header.channel, payload.to_vec()));
        rest = behind;
    }
    assert!(rest.is_empty());
    frames
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A mux with an accepted stream of number 70,000.
fn accepted() -> Mux {
    let mut mux = Mux::default();
    mux.add(1);
    mux.listen(1);
    assert_eq!(output(&mut mux), [(kind::CREDIT, 1, BACKLOG.to_le_bytes().to_vec())]);
    mux.watch(1, 5).unwrap();
    assert_eq!(mux.accept(1), Err(Errno::EAGAIN));
    let opening = trunk::opening(1, address("127.0.0.1:80"), address("127.0.0.1:4000"));
    mux.take_in(&frame(kind::OPEN, 70_000, &opening));
    assert_eq!(mux.take_ready(), [Ready { token: 5, readable: true, writable: false, ended: false }]);
    assert_eq!(mux.accept(1), Ok((70_000, address("127.0.0.1:4000"))));
    assert_eq!(output(&mut mux), [(kind::CREDIT, 1, 1u32.to_le_bytes().to_vec())]);
    mux
}

#[test]
fn a_connection_is_accepted_read_written_and_closed() {
    let mut mux = accepted();
    mux.watch(70_000, 6).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(mux.read(70_000, &mut buffer), Err(Errno::EAGAIN));
    // A frame may come in pieces.
    let data = frame(kind::DATA, 70_000, b"question");
    mux.take_in(&data[..3]);
    assert!(mux.take_ready().is_empty());
    mux.take_in(&data[3..]);
    assert_eq!(mux.take_ready(), [Ready { token: 6, readable: true, writable: false, ended: false }]);
    assert_eq!((mux.read(70_000, &mut buffer), &buffer[..8]), (Ok(8), &b"question"[..]));
    mux.take_in(&frame(kind::END, 70_000, b""));
    assert_eq!(mux.read(70_000, &mut buffer), Ok(0));
    assert_eq!(mux.write(70_000, &[b"ans", b"wer"]), Ok(6));
    mux.shut(70_000, false, true).unwrap();
    assert_eq!(mux.write(70_000, &[b"more"]), Err(Errno::EPIPE));
    mux.close(70_000);
    let sent = output(&mut mux);
    assert_eq!(sent[0], (kind::DATA, 70_000, b"answer".to_vec()));
    assert_eq!(sent[1..], [(kind::END, 70_000, Vec::new()), (kind::CLOSE, 70_000, std::vec![0])]);
    mux.take_in(&frame(kind::DATA, 70_000, b"too late"));
    assert_eq!(mux.read(70_000, &mut buffer), Err(Errno::EBADF));
}

#[test]
fn nothing_is_sent_beyond_the_credit_and_more_is_reported() {
    let mut mux = accepted();
    mux.watch(70_000, 6).unwrap();
    let bytes = std::vec![7; PIECE];
    let mut written = 0;
    while let Ok(length) = mux.write(70_000, &[&bytes]) {
        written += length;
    }
    assert_eq!(written, STREAM_WINDOW as usize);
    mux.take_ready();
    mux.take_in(&frame(kind::CREDIT, 70_000, &100u32.to_le_bytes()));
    assert_eq!(mux.take_ready(), [Ready { token: 6, readable: false, writable: true, ended: false }]);
    assert_eq!(mux.write(70_000, &[&bytes]), Ok(100));
}

#[test]
fn what_was_read_is_given_back_as_credit_and_what_comes_beyond_it_ends_the_stream() {
    let mut mux = accepted();
    let piece = std::vec![1; STREAM_WINDOW as usize / 2];
    mux.take_in(&frame(kind::DATA, 70_000, &piece));
    mux.take_in(&frame(kind::DATA, 70_000, &piece));
    let mut buffer = std::vec![0; REPORT as usize];
    assert_eq!(mux.read(70_000, &mut buffer), Ok(buffer.len()));
    assert_eq!(output(&mut mux), [(kind::CREDIT, 70_000, REPORT.to_le_bytes().to_vec())]);
    mux.take_in(&frame(kind::DATA, 70_000, &piece));
    for _ in 0..3 {
        assert_eq!(mux.read(70_000, &mut buffer), Ok(buffer.len()));
    }
    assert_eq!(mux.read(70_000, &mut buffer), Err(Errno::EIO));
}

#[test]
fn a_writer_that_found_the_line_full_is_told_of_room() {
    let mut mux = accepted();
    for id in 70_001..70_010 {
        mux.take_in(&frame(kind::OPEN, id, &trunk::opening(0, address("1.1.1.1:1"), address("1.1.1.1:2"))));
        mux.watch(id, id).unwrap();
    }
    let bytes = std::vec![7; PIECE];
    let stuck: Vec<u32> = (70_001..70_010)
        .filter(|&id| {
            while mux.write(id, &[&bytes]).is_ok() {}
            mux.channel(id).unwrap().credit > 0
        })
        .collect();
    assert!(!stuck.is_empty());
    mux.take_ready();
    mux.made_room();
    assert!(mux.take_ready().is_empty());
    output(&mut mux);
    mux.made_room();
    let told: Vec<u32> = mux.take_ready().iter().map(|r| r.token).collect();
    assert_eq!(told, stuck);
}

#[test]
fn datagrams_keep_their_senders_and_notes() {
    let mut mux = Mux::default();
    mux.add(2);
    let (peer, note) = (address("[fe80::1%3]:53"), [9; NOTE]);
    let payload = [&trunk::put_address(peer)[..], &note, b"query"].concat();
    for _ in 0..2 {
        mux.take_in(&frame(kind::DATAGRAM, 2, &payload));
    }
    let mut buffer = [0; 8];
    assert_eq!(mux.receive(2, &mut buffer), Ok((5, peer, note)));
    assert_eq!(&buffer[..5], b"query");
    // What does not fit is cut off, and only that.
    assert_eq!(mux.receive(2, &mut buffer[..2]), Ok((2, peer, note)));
    assert_eq!(mux.receive(2, &mut buffer), Err(Errno::EAGAIN));
    assert_eq!(mux.send(2, b"answer", peer, &note), Ok(6));
    let answer = [&trunk::put_address(peer)[..], &note, b"answer"].concat();
    assert_eq!(output(&mut mux), [(kind::DATAGRAM, 2, answer)]);
    assert_eq!(mux.send(2, &std::vec![0; 65_528], peer, &note), Err(Errno::EMSGSIZE));
}

#[test]
fn an_error_is_told_once_behind_what_came_before_it() {
    let mut mux = accepted();
    mux.take_in(&frame(kind::DATA, 70_000, b"last"));
    mux.take_in(&frame(kind::ERROR, 70_000, &104u32.to_le_bytes()));
    let mut buffer = [0; 8];
    assert_eq!(mux.read(70_000, &mut buffer), Ok(4));
    assert_eq!(mux.read(70_000, &mut buffer), Err(Errno(104)));
    assert_eq!(mux.read(70_000, &mut buffer), Ok(0));
    assert_eq!(mux.write(70_000, &[b"x"]), Err(Errno::EPIPE));
}

#[test]
fn a_listener_without_descriptors_says_so_and_goes_on() {
    let mut mux = accepted();
    mux.take_in(&frame(kind::ERROR, 1, &24u32.to_le_bytes()));
    assert_eq!(mux.accept(1), Err(Errno::EMFILE));
    assert_eq!(output(&mut mux), [(kind::CREDIT, 1, 1u32.to_le_bytes().to_vec())]);
    assert_eq!(mux.accept(1), Err(Errno::EAGAIN));
}

#[test]
fn an_end_is_reported_to_who_watches_before_and_after_it_and_to_a_reader_when_reading_is_shut() {
    let over = Ready { token: 6, readable: true, writable: false, ended: true };
    let mut mux = accepted();
    mux.watch(70_000, 6).unwrap();
    mux.take_in(&frame(kind::DATA, 70_000, b"last"));
    mux.take_in(&frame(kind::END, 70_000, b""));
    assert_eq!(mux.take_ready(), [Ready { ended: false, ..over }, over]);
    let mut mux = accepted();
    mux.take_in(&frame(kind::END, 70_000, b""));
    mux.take_ready();
    mux.watch(70_000, 6).unwrap();
    assert_eq!(mux.take_ready(), [Ready { writable: true, ..over }]);
    let mut mux = accepted();
    mux.watch(70_000, 6).unwrap();
    mux.shut(70_000, true, false).unwrap();
    assert_eq!(mux.take_ready(), [over]);
    assert_eq!(mux.read(70_000, &mut [0; 4]), Ok(0));
}

#[test]
fn the_broker_is_asked_and_answers_with_a_channel() {
    let mut mux = Mux::default();
    mux.watch_broker(3);
    mux.ask(b"request").unwrap();
    assert_eq!(output(&mut mux), [(kind::BROKER, 0, b"request".to_vec())]);
    mux.take_in(&frame(kind::BROKER, 70_001, b"reply"));
    assert_eq!(mux.take_ready(), [Ready { token: 3, readable: true, writable: false, ended: false }]);
    let mut buffer = [0; 8];
    assert_eq!(mux.reply(&mut buffer), Ok((5, 70_001)));
    assert_eq!(mux.reply(&mut buffer), Err(Errno::EAGAIN));
}

proptest! {
    #[test]
    fn no_bytes_from_the_line_panic_and_what_is_kept_is_bounded(
        frames in proptest::collection::vec((0u8..11, 0u32..4, proptest::collection::vec(any::<u8>(), 0..300)), 0..60),
        cut in 1usize..50,
    ) {
        let mut mux = Mux::default();
        mux.add(1);
        mux.add(2);
        let bytes: Vec<u8> = frames.iter().flat_map(|(kind, id, payload)| frame(*kind, *id, payload)).collect();
        for piece in bytes.chunks(cut) {
            mux.take_in(piece);
        }
        let mut buffer = [0; 100];
        for id in 0..4 {
            let _ = mux.receive(id, &mut buffer);
            let _ = mux.accept(id);
            while mux.read(id, &mut buffer).is_ok_and(|n| n > 0) {}
            let _ = mux.write(id, &[&buffer]);
            mux.close(id);
        }
        prop_assert!(mux.channels.is_empty());
    }
}
