//! The own TCP/IP stack on the Ethernet device. smoltcp does TCP, DHCP and most of ICMP; UDP, fragments, neighbours and
//! everything above packets are done here.
//!
//! 1. One task polls: when frames have come, when a timer is due, when a socket has something to send. No work is done
//!    for sockets that none of this concerns.
//! 2. A received frame is parsed once ([`packet`]). UDP is taken out by port, fragments are put together, and neither
//!    ever reaches smoltcp; a TCP segment goes to smoltcp together with just the one socket that it belongs to. A server that waits for datagrams in
//!    batches takes frames in by itself, and answers where they lie: no queue, no change of tasks.
//! 3. The state is in `RefCell`s that are borrowed for one call, from top to bottom: a connection's set, then
//!    nothing. The device may not call back.
//! 4. Whatever comes in a frame changes at most sockets that it was addressed to, and bounded memory.

mod build;
mod checksum;
mod config;
mod connection;
mod device;
mod fragments;
#[cfg(fuzzing)]
pub mod fuzz;
mod icmp;
mod inner;
pub mod link;
pub mod listener;
mod neighbours;
mod packet;
mod program;
mod slaac;
pub mod stream;
pub mod tcp;
#[cfg(test)]
mod tests;
mod time_wait;
mod timers;
mod tuple_map;
pub mod udp;

use crate::turn::Waiter;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use config::Config;
use core::cell::{Cell, OnceCell};
use core::future::Future;
use core::net::IpAddr;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use device::Pass;
use fragments::{Assembler, Outgoing};
use inner::{Inner, is_for_us};
use kernlet_exec::{Source, sleep_until, spawn, yield_now};
use kernlet_platform::boot::{NicConfig, blob};
use kernlet_platform::cell::RefCell;
use kernlet_platform::nic::{Facts, Offload};
use kernlet_platform::{clock, entropy, nic};
use kernlet_sync::{CpuLocal, WaitQueue, poll_fn};
use kernlet_time::Instant;
use link::{Link, Nic};
use neighbours::Neighbours;
use packet::{Fragment, Packet};
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::wire::{EthernetAddress, HardwareAddress};
use udp::Origin;

/// Frames taken in before other tasks run.
const TURN: usize = 64;
/// Nothing that could not be sent is tried again sooner than this.
const PATIENCE: Duration = Duration::from_millis(5);
/// What waits for a neighbour or for room on the link is given up after so long.
const STUCK: Duration = Duration::from_secs(3);

/// A stack on one Ethernet device.
pub struct Stack {
    inner: RefCell<Inner>,
    link: Rc<dyn Link>,
    facts: Facts,
    /// The device's readiness; tests with links of their own have none.
    source: OnceCell<Source>,
    udp: udp::Table,
    tcp: tcp::Table,
    /// Wakes the stack's task.
    kicked: Waiter,
    /// Those that wait for addresses.
    changed: WaitQueue,
    /// When it was last polled.
    polled: Cell<Instant>,
    /// Those that wait for room on the link.
    room: RefCell<Vec<core::task::Waker>>,
}

/// What became of a received frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// There was none.
    Nothing,
    /// The server that asked for it has answered.
    Answered,
    /// It was for somebody else.
    Otherwise,
}

/// A server's endpoint, and what answers a datagram.
type Server<'s> = (&'s Rc<udp::Endpoint>, &'s mut dyn FnMut(&[u8], Origin));

fn instant(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((now.nanoseconds() / 1000) as i64)
}

/// The moment of smoltcp's clock, rounded up so that it is never early.
fn moment(at: smoltcp::time::Instant) -> Instant {
    Instant::from_nanoseconds((at.total_micros().max(0) as u64).saturating_mul(1000))
}

static STACK: CpuLocal<OnceCell<Option<Rc<Stack>>>> = CpuLocal::new(OnceCell::new);

/// The instance's stack, started when first asked for; `None` when there is no Ethernet device.
pub fn get() -> Option<&'static Rc<Stack>> {
    STACK.get().get_or_init(start).as_ref()
}

/// The stack if it was started.
pub fn started() -> Option<&'static Rc<Stack>> {
    STACK.get().get().and_then(Option::as_ref)
}

fn start() -> Option<Rc<Stack>> {
    let told = blob().nic().unwrap_or(NicConfig { descriptor: -1, ..NicConfig::default() });
    let link = Nic::open(told.mac)?;
    let stack = Stack::new(Rc::new(link), &told, blob().hostname());
    nic::watch(stack.source.get_or_init(Source::new).token());
    let running = stack.clone();
    spawn("network", async move { running.run().await });
    Some(stack)
}

impl Stack {
    /// A stack on `link`, configured as `nic` says; [`Self::run`] makes it live.
    fn new(link: Rc<dyn Link>, nic: &NicConfig, hostname: Option<&'static str>) -> Rc<Self> {
        let facts = link.facts();
        let now = Instant::now();
        let hardware = HardwareAddress::Ethernet(EthernetAddress(facts.mac));
        let mut settings = smoltcp::iface::Config::new(hardware);
        let seed = entropy::seed().and_then(|s| s.first_chunk::<8>().copied());
        settings.random_seed = seed.map_or_else(clock::monotonic, u64::from_le_bytes);
        if cfg!(fuzzing) {
            // The same input does the same.
            settings.random_seed = 1;
        }
        let mut pass = Pass { link: &*link, frame: None };
        // It has 10 KB: it is moved no more often than it must be.
        let mut iface = Box::write(Box::new_uninit(), Interface::new(settings, &mut pass, instant(now)));
        let config = Config::new(facts.mac, nic, hostname, now);
        config.apply(&mut iface);
        Rc::new(Self {
            inner: RefCell::new(Inner {
                link: link.clone(),
                iface,
                config,
                neighbours: Neighbours::default(),
                nobody: SocketSet::new(Vec::new()),
                fragments: Assembler::default(),
                outgoing: Outgoing::default(),
                frame: Vec::new(),
            }),
            link,
            facts,
            source: OnceCell::new(),
            udp: udp::Table::default(),
            tcp: tcp::Table::default(),
            kicked: Waiter::default(),
            changed: WaitQueue::new(),
            polled: Cell::new(now),
            room: RefCell::default(),
        })
    }

    /// Makes the stack's task look again.
    fn kick(&self) {
        self.kicked.wake();
    }

    /// Now, never before the last poll, whose clock tests turn forward.
    fn now(&self) -> Instant {
        Instant::now().max(self.polled.get())
    }

    /// Whether a frame can be sent now.
    fn has_room(&self) -> bool {
        self.link.has_room()
    }

    /// Wakes `waiter`'s task when there may be room on the link.
    fn waits_for_room(&self, waiter: &Waiter, context: &Context<'_>) {
        waiter.register(context);
        self.room.borrow_mut().push(context.waker().clone());
        self.kick();
    }

    /// Runs the stack for ever.
    async fn run(self: Rc<Self>) {
        let source = self.source.get();
        loop {
            let (busy, deadline) = self.poll(Instant::now());
            if busy {
                yield_now().await;
                continue;
            }
            if let Some(source) = source {
                source.clear_writable();
            }
            let mut sleep = pin!(sleep_until(deadline.unwrap_or(Instant::from_nanoseconds(u64::MAX))));
            let mut first = true;
            poll_fn(|context| {
                let came = source.is_some_and(|s| {
                    s.poll_readable(context).is_ready() | s.poll_writable(context).is_ready()
                });
                self.kicked.register(context);
                let due = deadline.is_some() && sleep.as_mut().poll(context).is_ready();
                // Whatever else wakes this task is a kick.
                if came || due || !core::mem::take(&mut first) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    /// One turn: takes frames in, sends what there is to send. Tells whether there is more to do at once, and when
    /// to come again at the latest.
    fn poll(&self, now: Instant) -> (bool, Option<Instant>) {
        self.polled.set(now);
        // A server that waits goes first, once: what it leaves is taken in the next time.
        let mut busy = self.may_receive() && self.udp.offer();
        if !busy {
            busy = (0..TURN).all(|_| self.receive(now, None) != Taken::Nothing);
        }
        let mut inner = self.inner.borrow_mut();
        if inner.configure(now) {
            self.changed.wake_all();
        }
        busy |= self.tcp.egress(&mut inner, now);
        inner.fragments.expire(now);
        inner.outgoing.send(&*self.link, now);
        let udp = self.udp.egress(&mut inner, now);
        self.link.flush();
        if self.link.can_transmit() {
            let waiting = core::mem::take(&mut *self.room.borrow_mut());
            waiting.into_iter().for_each(core::task::Waker::wake);
        }
        let configuration = inner.configuration_deadline(now);
        let fragments = [inner.fragments.deadline(), inner.outgoing.deadline(now)];
        let next = [configuration, udp, self.tcp.deadline()].into_iter().chain(fragments).flatten().min();
        (busy, next)
    }

    /// Whether there may be a frame.
    fn may_receive(&self) -> bool {
        self.source.get().is_none_or(Source::is_readable)
    }

    /// Takes in one frame. A datagram for `server`'s endpoint is answered where it lies.
    fn receive(&self, now: Instant, mut server: Option<Server<'_>>) -> Taken {
        if !self.may_receive() {
            return Taken::Nothing;
        }
        let (mut found, mut taken) = (None, Taken::Otherwise);
        let some = self.link.receive(&mut |bytes, offload| {
            let packet = packet::parse(bytes, self.facts.mac, offload, self.facts.checksums);
            if let Some(Packet::Udp(datagram)) = &packet
                && is_for_us(&self.inner.borrow().iface, datagram.destination.ip())
                && let Some(endpoint) = self.udp.endpoint(datagram.destination)
            {
                let (payload, origin) = (&bytes[datagram.payload.clone()], Origin::from(datagram));
                match &mut server {
                    Some((own, answer)) if Rc::ptr_eq(own, &endpoint) => {
                        answer(payload, origin);
                        taken = Taken::Answered;
                    }
                    _ => endpoint.deliver(payload, origin),
                }
                return;
            }
            if packet.is_some() {
                // smoltcp replies while it looks at the frame, which may take a while: it gets a copy.
                let frame = &mut self.inner.borrow_mut().frame;
                frame.clear();
                frame.extend_from_slice(bytes);
                found = packet;
            }
        });
        if !some {
            // All was taken in: the next frame is reported as a new edge.
            self.source.get().into_iter().for_each(Source::clear_readable);
            return Taken::Nothing;
        }
        if let Some(packet) = found {
            let mut inner = self.inner.borrow_mut();
            let frame = core::mem::take(&mut inner.frame);
            self.take(&mut inner, packet, &frame, now);
            inner.frame = frame;
        }
        taken
    }

    fn take(&self, inner: &mut Inner, packet: Packet, frame: &[u8], now: Instant) {
        match packet {
            Packet::Dhcp => {
                if let Some((mut set, handle)) = inner.config.dhcp.take() {
                    inner.ingress(frame, &mut set, now);
                    inner.config.dhcp = Some((set, handle));
                }
            }
            Packet::Tcp(segment) => {
                if !self.tcp.ingress(inner, &segment, frame, now) {
                    self.pass_to_nobody(inner, frame, now);
                }
            }
            Packet::Fragment(fragment) => self.take_fragment(inner, &fragment, frame, now),
            Packet::RouterAdvertisement { router, message } => {
                let Some(slaac) = &mut inner.config.slaac else { return };
                if slaac.advertised(router, &frame[message], now) {
                    inner.config.apply(&mut inner.iface);
                    self.changed.wake_all();
                }
            }
            Packet::Neighbour => {
                inner.learn(frame, now);
                self.pass_to_nobody(inner, frame, now);
                self.tcp.unstall();
            }
            // What was sent to a group is not refused.
            Packet::Udp(datagram) if !inner.is_own(datagram.destination.ip()) => {}
            Packet::Udp(datagram) => inner.refuse(frame, &datagram, now),
            Packet::Other => self.pass_to_nobody(inner, frame, now),
        }
    }

    fn pass_to_nobody(&self, inner: &mut Inner, frame: &[u8], now: Instant) {
        let mut nobody = core::mem::replace(&mut inner.nobody, SocketSet::new(Vec::new()));
        inner.ingress(frame, &mut nobody, now);
        inner.nobody = nobody;
    }

    /// Takes in a fragment, and the packet that it makes whole as if that had come in one frame.
    fn take_fragment(&self, inner: &mut Inner, fragment: &Fragment, frame: &[u8], now: Instant) {
        if !is_for_us(&inner.iface, fragment.destination) {
            return;
        }
        let Some(whole) = inner.fragments.take(frame, fragment, now) else { return };
        match packet::parse(&whole, self.facts.mac, Offload::None, self.facts.checksums) {
            Some(Packet::Udp(datagram)) => match self.udp.endpoint(datagram.destination) {
                Some(endpoint) => {
                    endpoint.deliver(&whole[datagram.payload.clone()], Origin::from(&datagram));
                }
                None => self.take(inner, Packet::Udp(datagram), &whole, now),
            },
            Some(packet @ Packet::Tcp(_)) => self.take(inner, packet, &whole, now),
            // Of ICMP only this may come in fragments (RFC 6980).
            Some(Packet::Other) => inner.answer_echo(&whole, now),
            _ => {}
        }
    }

    /// Whether `address` is one of this stack's.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.inner.borrow().is_own(address)
    }

    /// Whether something leads to `address`; waits for the first configuration while there is none.
    pub async fn leads_to(&self, address: IpAddr) -> bool {
        /// How long a network that answers takes to configure an interface, with some retries.
        const CONFIGURATION: Duration = Duration::from_secs(10);
        let asked = || {
            let inner = self.inner.borrow();
            if inner.leads_to(address) { Some(true) } else { inner.config.is_configured().then_some(false) }
        };
        kernlet_exec::timeout(CONFIGURATION, self.changed.until(asked)).await.unwrap_or(false)
    }

    /// Whether something leads to `address` now.
    pub fn leads_now(&self, address: IpAddr) -> bool {
        self.inner.borrow().leads_to(address)
    }

    /// The own address from which `to` is spoken to.
    pub fn source(&self, to: IpAddr) -> Option<IpAddr> {
        self.inner.borrow().iface.get_source_address(&to.into()).map(IpAddr::from)
    }

    /// What the interface is now.
    pub fn interface(&self) -> crate::Interface {
        let inner = self.inner.borrow();
        let facts = inner.link.facts();
        let (four, six) = inner.config.routers();
        crate::Interface {
            name: "eth0",
            mac: Some(facts.mac),
            mtu: usize::from(facts.mtu),
            addresses: inner.iface.ip_addrs().iter().map(|c| (c.address().into(), c.prefix_len())).collect(),
            routers: four.map(IpAddr::V4).into_iter().chain(six.map(IpAddr::V6)).collect(),
        }
    }

    /// Waits until there is an address beyond the link-local one.
    pub async fn configured(&self) {
        self.changed.until(|| self.inner.borrow().config.is_configured().then_some(())).await;
    }
}
