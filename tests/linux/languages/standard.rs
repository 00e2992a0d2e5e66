//! What Rust's standard library asks of the system.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, panic, process, thread};

struct Told(&'static str);

impl Drop for Told {
    fn drop(&mut self) {
        println!("dropped {}", self.0);
    }
}

thread_local!(static OWN: Told = const { Told("a thread's own") });

fn threads() {
    let (sender, receiver) = channel();
    let total = Arc::new((Mutex::new(0u64), Condvar::new()));
    let table = Arc::new(RwLock::new(HashMap::new()));
    for n in 0..8u64 {
        let (sender, total, table) = (sender.clone(), total.clone(), table.clone());
        thread::Builder::new().name(format!("worker {n}")).stack_size(64 << 10).spawn(move || {
            for _ in 0..1000 {
                *total.0.lock().unwrap() += n;
            }
            table.write().unwrap().insert(n, thread::current().name().map(str::to_owned));
            total.1.notify_all();
            sender.send(n).unwrap();
        }).unwrap();
    }
    drop(sender);
    println!("received {}", receiver.iter().sum::<u64>());
    println!("total {} of {}", total.0.lock().unwrap(), table.read().unwrap().len());
    println!("last {:?}", table.read().unwrap()[&7]);
    let lock = total.0.lock().unwrap();
    println!("timed out {}", total.1.wait_timeout(lock, Duration::from_millis(5)).unwrap().1.timed_out());
    thread::spawn(|| OWN.with(|_| ())).join().unwrap();
    println!("scoped {}", thread::scope(|s| s.spawn(|| 42).join().unwrap()));
}

fn panics() {
    panic::set_hook(Box::new(|information| println!("panicked: {}", information.payload_as_str().unwrap_or("?"))));
    let caught = panic::catch_unwind(|| {
        let _told = Told("while unwinding");
        panic!("on purpose");
    });
    println!("caught {}", caught.is_err());
    println!("joined {}", thread::spawn(|| panic!("in a thread")).join().is_err());
}

fn network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        }
    });
    for n in 0..3 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "client {n}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        println!("{text}");
    }
    server.join().unwrap();
    println!("refused {:?}", TcpStream::connect(address).map(drop).map_err(|e| e.kind()));
    let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    other.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    one.send_to(b"datagram", other.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 16];
    println!("received {:?}", other.recv(&mut buffer));
    println!("nothing {:?}", other.recv(&mut buffer).map_err(|e| e.kind()));
    let (mut left, mut right) = UnixStream::pair().unwrap();
    left.write_all(b"pair").unwrap();
    right.read_exact(&mut buffer[..4]).unwrap();
    println!("{}", String::from_utf8_lossy(&buffer[..4]));
}

fn files() {
    let folder = env::temp_dir().join(format!("kernlet-rust-{}", process::id()));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "text").unwrap();
    fs::rename(folder.join("a"), folder.join("b")).unwrap();
    println!("{:?}", fs::read_to_string(folder.join("b")));
    println!("{:?}", fs::read(folder.join("a")).map_err(|e| e.kind()));
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    println!("{names:?} {}", fs::metadata(folder.join("b")).unwrap().len());
    fs::remove_dir_all(&folder).unwrap();
    println!("gone {}", !folder.exists());
}

fn main() {
    println!("arguments {:?}", env::args().skip(1).collect::<Vec<_>>());
    threads();
    panics();
    network();
    files();
    let start = Instant::now();
    thread::sleep(Duration::from_millis(10));
    println!("time {} {}", start.elapsed() >= Duration::from_millis(10), SystemTime::now() > SystemTime::UNIX_EPOCH);
    println!("parallel {}", thread::available_parallelism().is_ok());
    process::exit(13);
}
