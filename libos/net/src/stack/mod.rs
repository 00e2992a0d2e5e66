//! The own TCP/IP stack: smoltcp on the Ethernet device, with everything above packets done here.
//!
//! 1. One task polls: when frames have come, when a timer is due, when a socket has something to send. No work is done
//!    for sockets that none of this concerns.
//! 2. A received frame is parsed once ([`packet`]). UDP is taken out by port and never reaches smoltcp; a TCP segment
//!    goes to smoltcp together with just the one socket that it belongs to.
//! 3. The state is in `RefCell`s that are borrowed for one call, from top to bottom: a connection's set, then
//!    nothing. The device may not call back.
//! 4. Whatever comes in a frame changes at most sockets that it was addressed to, and bounded memory.

mod build;
mod checksum;
mod config;
mod connection;
mod device;
mod fragments;
mod inner;
pub mod link;
pub mod listener;
mod neighbours;
mod packet;
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
use core::cell::{Cell, OnceCell, RefCell};
use core::future::Future;
use core::net::IpAddr;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use device::Pass;
use fragments::Fragments;
use inner::{Inner, is_for_us};
use kernlet_exec::{Source, sleep_until, spawn, yield_now};
use kernlet_platform::boot::{NicConfig, blob};
use kernlet_platform::nic::Offload;
use kernlet_platform::{clock, entropy, nic};
use kernlet_sync::{CpuLocal, WaitQueue, poll_fn};
use kernlet_time::Instant;
use link::{Link, Nic};
use neighbours::Neighbours;
use packet::Packet;
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::wire::{EthernetAddress, HardwareAddress};

/// Frames taken in before other tasks run.
const TURN: usize = 64;
/// Nothing that could not be sent is tried again sooner than this.
const PATIENCE: Duration = Duration::from_millis(5);

/// A stack on one Ethernet device.
pub struct Stack {
    inner: RefCell<Inner>,
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
    let stack = Stack::new(Box::new(link), &told, blob().hostname());
    let source = Source::new();
    nic::watch(source.token());
    let running = stack.clone();
    spawn("network", async move { running.run(Some(source)).await });
    Some(stack)
}

impl Stack {
    /// A stack on `link`, configured as `nic` says; [`Self::run`] makes it live.
    fn new(mut link: Box<dyn Link>, nic: &NicConfig, hostname: Option<&'static str>) -> Rc<Self> {
        let facts = link.facts();
        let now = Instant::now();
        let hardware = HardwareAddress::Ethernet(EthernetAddress(facts.mac));
        let mut settings = smoltcp::iface::Config::new(hardware);
        let seed = entropy::seed().and_then(|s| s.first_chunk::<8>().copied());
        settings.random_seed = seed.map_or_else(clock::monotonic, u64::from_le_bytes);
        let mut pass = Pass { link: &mut *link, frame: None };
        let mut iface = Interface::new(settings, &mut pass, instant(now));
        let config = Config::new(facts.mac, nic, hostname, now);
        config.apply(&mut iface);
        Rc::new(Self {
            inner: RefCell::new(Inner {
                link,
                iface,
                config,
                neighbours: Neighbours::default(),
                nobody: SocketSet::new(Vec::new()),
                fragments: Fragments::default(),
                frame: Vec::new(),
            }),
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
        let mut inner = self.inner.borrow_mut();
        if !inner.link.can_transmit() {
            inner.link.flush();
        }
        inner.link.can_transmit()
    }

    /// Wakes `waiter`'s task when there may be room on the link.
    fn waits_for_room(&self, waiter: &Waiter, context: &Context<'_>) {
        waiter.register(context);
        self.room.borrow_mut().push(context.waker().clone());
        self.kick();
    }

    /// Runs the stack for ever.
    async fn run(self: Rc<Self>, source: Option<Source>) {
        loop {
            let (busy, deadline) = self.poll(Instant::now());
            if busy {
                yield_now().await;
                continue;
            }
            if let Some(source) = &source {
                // All was taken in: the next frame is reported as a new edge.
                source.clear_readable();
                source.clear_writable();
            }
            let mut sleep = pin!(sleep_until(deadline.unwrap_or(Instant::from_nanoseconds(u64::MAX))));
            let mut first = true;
            poll_fn(|context| {
                let came = source.as_ref().is_some_and(|s| {
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
        let mut inner = self.inner.borrow_mut();
        let mut busy = true;
        for _ in 0..TURN {
            if !self.receive(&mut inner, now) {
                busy = false;
                break;
            }
        }
        if inner.configure(now) {
            self.changed.wake_all();
        }
        busy |= self.tcp.egress(&mut inner, now);
        let udp = self.udp.egress(&mut inner, now);
        inner.link.flush();
        if inner.link.can_transmit() {
            let waiting = core::mem::take(&mut *self.room.borrow_mut());
            waiting.into_iter().for_each(core::task::Waker::wake);
        }
        let configuration = inner.configuration_deadline(now);
        (busy, [configuration, udp, self.tcp.deadline()].into_iter().flatten().min())
    }

    /// Takes in one frame; `false` when there is none.
    fn receive(&self, inner: &mut Inner, now: Instant) -> bool {
        let Inner { link, iface, frame, .. } = inner;
        let facts = link.facts();
        let mut found = None;
        let some = link.receive(&mut |bytes, offload| {
            let packet = packet::parse(bytes, facts.mac, offload, facts.checksums);
            if let Some(Packet::Udp(datagram)) = &packet
                && is_for_us(iface, datagram.destination.ip())
                && self.udp.deliver(datagram, &bytes[datagram.payload.clone()])
            {
                return;
            }
            if packet.is_some() {
                // smoltcp replies while it looks at the frame, which the device does not allow.
                frame.clear();
                frame.extend_from_slice(bytes);
                found = packet;
            }
        });
        if let Some(packet) = found {
            let frame = core::mem::take(&mut inner.frame);
            self.take(inner, packet, &frame, now);
            inner.frame = frame;
        }
        some
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
            Packet::Fragment => self.take_fragment(inner, frame, now),
            Packet::RouterAdvertisement { router, message } => {
                let Some(slaac) = &mut inner.config.slaac else { return };
                if slaac.advertised(router, &frame[message], now) {
                    inner.config.apply(&mut inner.iface);
                    self.changed.wake_all();
                }
            }
            Packet::Neighbour => {
                self.pass_to_nobody(inner, frame, now);
                self.tcp.unstall();
            }
            // What was sent to a group is not refused.
            Packet::Udp(datagram) if !inner.is_own(datagram.destination.ip()) => {}
            Packet::Udp(_) | Packet::Other => self.pass_to_nobody(inner, frame, now),
        }
    }

    fn pass_to_nobody(&self, inner: &mut Inner, frame: &[u8], now: Instant) {
        let mut nobody = core::mem::replace(&mut inner.nobody, SocketSet::new(Vec::new()));
        inner.ingress(frame, &mut nobody, now);
        inner.nobody = nobody;
        inner.finish_fragments(now);
    }

    /// Takes in a fragment, and the packet that it makes whole as if that had come in one frame.
    fn take_fragment(&self, inner: &mut Inner, frame: &[u8], now: Instant) {
        let mut fragments = core::mem::take(&mut inner.fragments);
        inner.ingress(frame, fragments.sockets(), now);
        let facts = inner.link.facts();
        if let Some(whole) = fragments.whole(frame)
            && let Some(packet) = packet::parse(&whole, facts.mac, Offload::None, facts.checksums)
        {
            match packet {
                Packet::Udp(datagram) if is_for_us(&inner.iface, datagram.destination.ip()) => {
                    self.udp.deliver(&datagram, &whole[datagram.payload.clone()]);
                }
                Packet::Tcp(_) => self.take(inner, packet, &whole, now),
                _ => {}
            }
        }
        inner.fragments = fragments;
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
