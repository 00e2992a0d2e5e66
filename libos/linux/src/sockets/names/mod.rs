//! Names of hosts: a name server inside, at port 53 of loopback, where /etc/resolv.conf leads programs. It is started when
//! somebody first sends there and nobody else is bound to the port.
//!
//! It answers for what the instance itself is called, and for names that the monitor was told to let it connect to, which
//! the broker resolves. All else there is not, which it says at once, so that nobody waits.

mod message;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_exec::spawn;
use kernlet_net::{
    Errno, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket, interfaces, resolve,
};
use kernlet_platform::boot;
use kernlet_platform::cpu::CpuLocal;
use kernlet_time::Duration;
use message::{Code, Question, Verdict};

/// The port of the domain name system.
const PORT: u16 = 53;
/// Bytes of a datagram's message (RFC 1035, 4.2.1).
const DATAGRAM: usize = 512;
/// Questions that are being answered at the same time; more are dropped, and asked again.
const MOST: usize = 64;
/// How long a connection may keep the server waiting.
const PATIENCE: Duration = Duration::from_secs(10);

static STARTED: CpuLocal<Cell<bool>> = CpuLocal::new(|| Cell::new(false));

/// Starts the name server when something is about to be sent to where it is and nobody is there.
pub fn wanted(to: SocketAddr) {
    let to = kernlet_net::destination(to);
    if to.port() != PORT || !to.ip().is_loopback() || STARTED.get().get() || !kernlet_net::nobody_at(to) {
        return;
    }
    STARTED.get().set(true);
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let at = SocketAddr::new(ip, PORT);
        // Where somebody else is bound to the port, that is who answers.
        if let Ok(socket) = UdpSocket::bind_shared(at, kernlet_net::Share::NONE) {
            spawn("names", datagrams(Rc::new(socket)));
        }
        if let Ok(binding) = kernlet_net::TcpBinding::new(at, kernlet_net::Share::NONE)
            && let Ok(listener) = binding.listen(MOST)
        {
            spawn("names", connections(listener));
        }
    }
}

/// Counts what is being answered.
struct Busy(Rc<Cell<usize>>);

impl Busy {
    fn new(count: &Rc<Cell<usize>>) -> Option<Self> {
        let busy = count.get();
        (busy < MOST).then(|| {
            count.set(busy + 1);
            Self(count.clone())
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn datagrams(socket: Rc<UdpSocket>) {
    let count = Rc::new(Cell::new(0));
    let mut buffer = [0; DATAGRAM];
    // It fails only when the instance is about to end.
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let Some(busy) = Busy::new(&count) else { continue };
        let (query, socket) = (buffer[..length].to_vec(), socket.clone());
        spawn("name", async move {
            let _busy = busy;
            if let Some(reply) = answer(&query, DATAGRAM).await {
                // Who asked may have gone.
                let _ = socket.send_to(&reply, peer).await;
            }
        });
    }
}

async fn connections(listener: TcpListener) {
    let count = Rc::new(Cell::new(0));
    while let Ok((stream, _)) = listener.accept().await {
        let Some(busy) = Busy::new(&count) else { continue };
        spawn("name", async move {
            let _busy = busy;
            while let Ok(Ok(())) = kernlet_exec::timeout(PATIENCE, exchange(&stream)).await {}
        });
    }
}

/// One question of a connection, and its reply.
async fn exchange(stream: &TcpStream) -> Result<(), Errno> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut query = alloc::vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut query).await?;
    let reply = answer(&query, usize::from(u16::MAX)).await.ok_or(Errno::EPROTO)?;
    stream.write_all(&[&(reply.len() as u16).to_be_bytes()[..], &reply].concat()).await
}

/// The reply to a query, of at most `most` bytes; `None` for what is none.
async fn answer(query: &[u8], most: usize) -> Option<Vec<u8>> {
    match message::parse(query) {
        Verdict::Drop => None,
        Verdict::Refuse(code) => Some(message::reply(query, None, code, &[], most)),
        Verdict::Ask(question) => {
            let (code, addresses) = look_up(&question).await;
            Some(message::reply(query, Some(&question), code, &addresses, most))
        }
    }
}

async fn look_up(question: &Question) -> (Code, Vec<IpAddr>) {
    let name = question.name.trim_end_matches('.');
    let own = boot::blob().hostname().unwrap_or("localhost");
    let found = if name == "localhost" || name.ends_with(".localhost") {
        Ok(alloc::vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    } else if name.eq_ignore_ascii_case(own) {
        Ok(own_addresses())
    } else if name.is_empty() || name.ends_with(".arpa") {
        Err(Errno::ENOENT)
    } else {
        resolve(name).await
    };
    match found {
        Ok(addresses) => (Code::Fine, addresses.into_iter().filter(|ip| question.wants(*ip)).collect()),
        Err(Errno::ENOENT | Errno::EACCES | Errno::ENETUNREACH | Errno::EINVAL) => {
            (Code::NoSuchName, Vec::new())
        }
        Err(_) => (Code::Failed, Vec::new()),
    }
}

/// The addresses by which this instance is reached, or loopback's.
fn own_addresses() -> Vec<IpAddr> {
    let all: Vec<IpAddr> =
        interfaces().iter().flat_map(|one| one.addresses.clone()).map(|(ip, _)| ip).collect();
    let outside: Vec<IpAddr> = all.iter().copied().filter(|ip| !ip.is_loopback()).collect();
    if outside.is_empty() { all } else { outside }
}
