//! The life of an instance, from its making to its end, in one poll loop.

mod clients;
mod input;
mod lives;
mod memory;
mod outlet;
mod serve;
mod wait;

use crate::backend::{Guest, Plan, Starter, Trunk};
use crate::end::End;
use crate::error::Error;
use crate::grants::Grants;
use crate::home::{Home, Owned};
use crate::log::{Stream, Writer};
use crate::options::{Backend, Connect, Net, Options};
use crate::signals::Signals;
use crate::state::{About, State};
use crate::symbolise::Symboliser;
use crate::terminal::{self, Pty, Raw};
use clients::Clients;
use input::Input;
use kernlet_broker::{Broker, Service, Volume};
use kernlet_image::Image;
use memory::MemoryWatch;
use outlet::{Means, Outlet};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Random names that are tried before giving up.
const NAMES_TRIED: u32 = 20;
/// An instance that said that it ended is gone after so long, or is made to be.
const LAST_WORDS: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2000 });
/// The status of a start that kernlet itself could not make.
const FAILED_START: u8 = 125;

/// Who waits for a detached instance to be entered.
pub trait Ready {
    /// The program of the instance of that name was entered.
    fn entered(&mut self, name: &str);
}

/// Runs `image` and watches over it until it has ended for good; the status is the program's.
///
/// With `ready` the instance is detached: nothing is shown, and an end before the program was entered is an error.
///
/// # Errors
/// The instance could not be started; nothing is left behind.
pub fn run(
    home: &Home,
    image: Image,
    mut options: Options,
    ready: Option<&mut dyn Ready>,
) -> Result<u8, Error> {
    if let Net::Tap(tap) = &mut options.net {
        tap.name_hardware(random()?);
    }
    let signals =
        Signals::catch(options.terminal && ready.is_none()).map_err(Error::host("cannot catch signals"))?;
    let place = place(home, &options)?;
    let folder = home.instances().join(place.name());
    let made = matches!(place, Place::Made(_));
    let started = || {
        let about = About::of(&image);
        let grants = Rc::new(RefCell::new(Grants::open(&options, home)?));
        let name = place.name().to_string();
        let options = Rc::new(options);
        let plan = Plan { image, options: Rc::clone(&options), grants: Rc::clone(&grants), name };
        Monitor::start(home, about, options, grants, Box::new(plan), ready, signals, place)
    };
    let mut monitor = started().inspect_err(|_| {
        if made {
            let _ = std::fs::remove_dir_all(&folder);
        }
    })?;
    monitor.live()
}

/// Where what is known of an instance is to be kept.
enum Place {
    /// In its directory.
    Made(Owned),
    /// In a directory of this name, which is made once the instance runs: to make it takes as long as a start.
    Free(String),
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Self::Made(owned) => owned.dir.name(),
            Self::Free(name) => name,
        }
    }
}

/// Finds a place. A name that the user gave is taken first of all; and a virtual machine needs its directory to start.
fn place(home: &Home, options: &Options) -> Result<Place, Error> {
    if options.name.is_none() && options.backend == Backend::Process {
        for attempt in 0..NAMES_TRIED {
            let name = crate::name::random(random()?, attempt);
            if home.has_room_for(&name) {
                return Ok(Place::Free(name));
            }
        }
    }
    Ok(Place::Made(make_directory(home, options)?))
}

/// Finds a name, and makes the instance's directory.
fn make_directory(home: &Home, options: &Options) -> Result<Owned, Error> {
    if let Some(name) = crate::name::given(options)? {
        return Ok(home.create(name)?);
    }
    let mut attempt = 0;
    loop {
        match home.create(&crate::name::random(random()?, attempt)) {
            Err(crate::StateError::NameInUse(_)) if attempt < NAMES_TRIED => attempt += 1,
            made => return Ok(made?),
        }
    }
}

fn random() -> Result<[u8; 8], Error> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(Error::host("cannot get random bytes"))?;
    Ok(bytes)
}

struct Monitor<'r> {
    /// `None` until the first output was shown.
    owned: Option<Owned>,
    state: State,
    options: Rc<Options>,
    grants: Rc<RefCell<Grants>>,
    starter: Box<dyn Starter>,
    ready: Option<&'r mut dyn Ready>,
    foreground: bool,
    signals: Signals,
    clients: Clients,
    pty: Option<Pty>,
    raw: Option<Raw>,
    input: Input,
    outlets: [Outlet; 3],
    means: Means,
    guest: Option<Guest>,
    broker: Option<Service>,
    trunk: Option<Trunk>,
    life: Life,
    backoff: crate::options::Backoff,
    /// Somebody asked for the end: no new start.
    stopping: bool,
}

/// What is known of the present life.
#[derive(Debug)]
struct Life {
    began: Instant,
    entered: bool,
    told: Option<End>,
    killed: bool,
    /// When to kill it.
    kill_at: Option<Instant>,
    /// When to start it again; it has ended.
    start_at: Option<Instant>,
    /// The watch over its memory, where the host has no limit for it.
    memory: Option<MemoryWatch>,
    /// The end of QEMU's own messages, for an error.
    complaint: String,
}

impl Life {
    fn begin() -> Self {
        let complaint = String::new();
        let (told, kill_at, start_at, memory) = (None, None, None, None);
        let began = Instant::now();
        Self { began, entered: false, told, killed: false, kill_at, start_at, memory, complaint }
    }
}

impl<'r> Monitor<'r> {
    /// Starts the first life.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the whole that is made here")]
    fn start(
        home: &Home,
        about: About,
        options: Rc<Options>,
        grants: Rc<RefCell<Grants>>,
        mut starter: Box<dyn Starter>,
        ready: Option<&'r mut dyn Ready>,
        signals: Signals,
        place: Place,
    ) -> Result<Self, Error> {
        let foreground = ready.is_none();
        let pty =
            options.terminal.then(Pty::open).transpose().map_err(Error::host("cannot make a terminal"))?;
        let size = if foreground && pty.is_some() { terminal::size() } else { None };
        if let (Some(pty), Some((rows, columns))) = (&pty, size) {
            pty.resize(rows, columns);
        }
        let life = Life::begin();
        // Everything below goes on while the instance starts; an error drops it and so ends it.
        let guest = Killed(Some(starter.start(pty.as_ref())?));
        let id = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let build_id = about.build_id;
        let mut state = State::new(place.name().into(), id, &options, about);
        state.ports = grants.borrow().port_states();
        state.pid = guest.0.as_ref().map(Guest::pid);
        let show = |fd| foreground.then_some(fd);
        let outlets = [
            Outlet::new(Stream::Output, show(rustix::stdio::stdout())),
            Outlet::new(Stream::Error, show(rustix::stdio::stderr())),
            Outlet::new(Stream::Remark, None),
        ];
        let source =
            (foreground && options.interactive && terminal::may_read_input()).then(rustix::stdio::stdin);
        let raw = if pty.is_some() && source.is_some() { Raw::enter() } else { None };
        let mut monitor = Self {
            means: Means {
                log: Writer::default(),
                symboliser: Symboliser::new(home.path().to_path_buf(), build_id),
                buffer: Vec::new(),
            },
            state,
            options,
            grants,
            starter,
            ready,
            foreground,
            signals,
            clients: Clients::default(),
            pty,
            raw,
            input: Input::new(source),
            outlets,
            guest: None,
            broker: None,
            trunk: None,
            life,
            backoff: crate::options::Backoff::new(),
            stopping: false,
            owned: None,
        };
        monitor.connect(guest)?;
        monitor.show_first_output();
        monitor.announce(home, place).inspect_err(|_| drop(Killed(monitor.guest.take())))?;
        Ok(monitor)
    }

    /// Makes the instance known to other commands.
    fn announce(&mut self, home: &Home, place: Place) -> Result<(), Error> {
        let owned = match place {
            Place::Made(owned) => owned,
            Place::Free(name) => match home.create(&name) {
                // Somebody was faster. The instance was told the other name, which is as good as any for a host.
                Err(crate::StateError::NameInUse(_)) => make_directory(home, &self.options)?,
                made => made?,
            },
        };
        let dir = owned.dir.as_fd().try_clone_to_owned().map_err(Error::host("cannot open the log"))?;
        self.means.log.open(dir);
        self.state.name = owned.dir.name().into();
        let owned = self.owned.insert(owned);
        let written = owned.write(&self.state).map_err(Error::from);
        let listen = |()| self.clients.listen(&owned.dir).map_err(Error::host("cannot listen for commands"));
        written.and_then(listen).inspect_err(|_| self.forget())
    }

    /// Removes all that is known of it.
    fn forget(&self) {
        if let Some(owned) = &self.owned {
            let _ = owned.remove();
        }
    }

    /// Connects the streams of a new life.
    fn connect(&mut self, mut killed: Killed) -> Result<(), Error> {
        let Some(mut guest) = killed.0.take() else { return Ok(()) };
        let (mut sink, mut output) = (guest.stdin.take(), guest.stdout.take());
        if let Some(pty) = &self.pty
            && output.is_none()
        {
            let side = || pty.as_fd().try_clone_to_owned().map_err(Error::host("cannot open the terminal"));
            (sink, output) = (Some(side()?), Some(side()?));
        }
        self.input.connect(sink);
        let [first, second, third] = &mut self.outlets;
        first.connect(output);
        second.connect(guest.stderr.take());
        third.connect(guest.remarks.take());
        self.broker = match guest.broker.take() {
            Some(socket) => {
                Some(self.serve(socket).map_err(Error::host("cannot serve volumes and connections"))?)
            }
            None => None,
        };
        self.trunk = guest.trunk.take();
        let pid = guest.pid();
        self.life.memory =
            guest.watched.take().map(|(limit, shared)| MemoryWatch::new(pid, limit, shared, Instant::now()));
        self.guest = Some(guest);
        Ok(())
    }

    /// What the instance may reach by name, served on a new life's socket.
    fn serve(&self, socket: OwnedFd) -> io::Result<Service> {
        let granted = self.grants.borrow();
        let volumes = (0..)
            .zip(&granted.volumes)
            .map(|(id, v)| Ok(Volume::new(id, v.descriptor.try_clone()?, v.read_only, v.file)));
        let grants = self.options.connect.iter().map(Connect::grant).collect();
        Service::new(Broker::new(volumes.collect::<io::Result<_>>()?, grants), socket)
    }

    /// Waits for everything until the instance has ended for good.
    fn live(&mut self) -> Result<u8, Error> {
        loop {
            let happened = self.wait();
            self.serve_signals();
            if happened.clients {
                self.serve_clients();
            }
            self.serve_streams(&happened);
            if happened.trunk {
                self.serve_trunk();
            }
            self.serve_messages();
            let now = Instant::now();
            self.means.symboliser.rest(now);
            if self.life.kill_at.is_some_and(|at| at <= now) {
                self.kill();
            }
            if self.life.memory.as_mut().is_some_and(|memory| memory.exceeded(now)) {
                self.life.memory = None;
                self.life.told.get_or_insert(End { status: 137, reason: Some("out of memory".into()) });
                self.kill();
                if self.foreground {
                    let line = b"kernlet: out of memory: the instance took more than -m allows\n";
                    let _ = rustix::io::write(rustix::stdio::stderr(), line);
                }
            }
            if happened.ended
                && let Some(end) = self.reap()
                && let Some(result) = self.end_life(end)
            {
                return result;
            }
            if self.life.start_at.is_some() && self.stopping {
                let status = self.state.exit_code.unwrap_or_default();
                let reason = self.state.reason.take();
                return self.end_for_good(End { status, reason });
            }
            if self.life.start_at.is_some_and(|at| at <= now)
                && let Some(result) = self.start_again()
            {
                return result;
            }
        }
    }

    fn kill(&mut self) {
        self.life.kill_at = None;
        self.life.killed = self.life.told.is_none();
        if let Some(guest) = &self.guest {
            let _ = pidfd_send_signal(&guest.pidfd, Signal::KILL);
        }
    }

    /// Writes the state; a disk that is full must not end a running instance.
    fn save(&mut self) {
        let written = self.owned.as_ref().map_or(Ok(()), |owned| owned.write(&self.state));
        if let Err(error) = written {
            self.means.log.remark(&error.to_string());
        }
    }
}

/// A started instance that ends when it is dropped before anybody watches over it.
struct Killed(Option<Guest>);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(guest) = self.0.take() {
            let _ = pidfd_send_signal(&guest.pidfd, Signal::KILL);
            let _ = waitid(WaitId::PidFd(guest.pidfd.as_fd()), WaitIdOptions::EXITED);
        }
    }
}

#[cfg(test)]
mod tests;
