//! A 9P server that answers whatever the fuzzer says: the reader of replies, and the whole client above it.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_exec::block_on;
use kernlet_fs as fs;
use kernlet_fuzz::Input;
use kernlet_platform::{boot, p9};
use kernlet_wire::boot::{Blob, BlobWriter, Mount};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;

static BLOB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut blob = BlobWriter::new();
    blob.mount(Mount { id: 0, path: "/data", read_only: false, file: false });
    blob.finish()
});

/// What the server has still to say.
type Script = Rc<RefCell<Vec<u8>>>;

thread_local!(static SCRIPT: Script = {
    let script = Script::default();
    boot::set_blob(Blob::parse(&BLOB).expect("a blob"));
    let said = script.clone();
    p9::serve("vol0", Box::new(move |request| answer(&mut said.borrow_mut(), request)));
    script
});

/// A reply of the right kind with a body from the script; now and then it is raw. The session itself comes about, as
/// it is kept from one input to the next.
fn answer(script: &mut Vec<u8>, request: &[u8]) -> Vec<u8> {
    let kind = request[4];
    let tag = [request[5], request[6]];
    let body: Vec<u8> = match kind {
        100 => [&65560u32.to_le_bytes()[..], &8u16.to_le_bytes(), b"9P2000.L"].concat(),
        104 => vec![0x80; 13],
        120 => Vec::new(),
        _ => {
            let mut input = Input(script);
            let how = input.u8();
            let body = input.bytes(255).to_vec();
            let rest = input.0.to_vec();
            *script = rest;
            if script.is_empty() && body.is_empty() {
                return message(7, tag, &5u32.to_le_bytes());
            }
            match how % 8 {
                0 => return body,
                1 => return message(body.first().copied().unwrap_or(0), tag, &body),
                2 => return message(kind + 1, [tag[0] ^ 1, tag[1]], &body),
                3 => return message(7, tag, &body),
                // As many names as were asked for, of the kinds that the body says.
                4 | 5 if kind == 110 => {
                    let count = u16::from_le_bytes([request[15], request[16]]);
                    let qids = (0..usize::from(count)).flat_map(|i| {
                        let kind = [0x80, 0, 2, 0x80][usize::from(body.get(i).copied().unwrap_or(0)) % 4];
                        [kind, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
                    });
                    count.to_le_bytes().into_iter().chain(qids).collect()
                }
                _ => body,
            }
        }
    };
    message(kind + 1, tag, &body)
}

fn message(kind: u8, tag: [u8; 2], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 7).to_le_bytes()[..], &[kind, tag[0], tag[1]], body].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&what, rest)) = bytes.split_first() else { return };
    if what == 0xff {
        return fs::p9::exercise(rest);
    }
    SCRIPT.with(|script| *script.borrow_mut() = rest.to_vec());
    block_on(async move {
        let _ = match what % 8 {
            0 => fs::read("/data/sub/file").await.map(drop),
            1 => fs::read_dir("/data/sub").await.map(drop),
            2 => fs::metadata("/data/link/x").await.map(drop),
            3 => fs::write("/data/sub/new", [7; 3000]).await,
            4 => fs::rename("/data/a/b", "/data/c/d").await,
            5 => fs::space("/data").await.map(drop),
            6 => fs::read_link("/data/link").await.map(drop),
            _ => fs::create_dir_all("/data/a/b/c").await,
        };
    });
    SCRIPT.with(|script| script.borrow_mut().clear());
});
