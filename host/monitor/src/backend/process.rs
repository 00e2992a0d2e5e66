//! The process backend: a sandboxed process of the host.

use super::{Channel, Guest, Start, StartError, blob, host};
use crate::options::{Net, Restart};
use kernlet_image::{Access, Segment};
use kernlet_sandbox::table::Kind;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::OwnedFd;

pub(super) fn start(plan: Start<'_>) -> Result<Guest, StartError> {
    let blob = blob(&plan)?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(host("cannot make a pipe"));
    let (stdin, stdout, stderr);
    let stdio = match plan.terminal {
        Some(pty) => {
            (stdin, stdout, stderr) = (None, None, None);
            let side = || pty.inside().map(Some).map_err(host("cannot open the terminal"));
            [side()?, side()?, side()?]
        }
        None => {
            let (read_output, write_output) = pipe()?;
            let (read_error, write_error) = pipe()?;
            // Who reads slowly holds up the thread that writes, not the instance.
            for end in [&write_output, &write_error] {
                rustix::io::ioctl_fionbio(end, true).map_err(host("cannot set up a pipe"))?;
            }
            (stdout, stderr) = (Some(read_output), Some(read_error));
            let input = if plan.options.interactive {
                let (read, write) = pipe()?;
                rustix::io::ioctl_fionbio(&write, true).map_err(host("cannot set up a pipe"))?;
                stdin = Some(write);
                read
            } else {
                stdin = None;
                // A pipe that nobody writes to is at its end.
                pipe()?.0
            };
            [Some(input), Some(write_output), Some(write_error)]
        }
    };
    // Without a restart they are given away: so they close with the program.
    let last = plan.options.restart == Restart::No;
    let mut published = Vec::with_capacity(plan.grants.ports.len());
    for port in &mut plan.grants.ports {
        let socket =
            if last { port.socket.take() } else { port.socket.as_ref().map(duplicate).transpose()? };
        published.extend(socket.map(|socket| (port.protocol, port.port, socket)));
    }
    let nic = match (&plan.options.net, &plan.grants.tap) {
        (Net::Tap(tap), Some(opened)) => Some((tap.nic.clone(), duplicate(opened)?)),
        _ => None,
    };
    if last {
        plan.grants.tap = None;
    }
    let (broker, inside) = if plan.grants.volumes.is_empty() && plan.options.connect.is_empty() {
        (None, None)
    } else {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.map_err(host("cannot make a socket pair"))?;
        // The instance never waits there while the broker waits for it.
        rustix::io::ioctl_fionbio(&theirs, true).map_err(host("cannot set up a socket pair"))?;
        (Some(ours), Some(theirs))
    };
    let segments: Vec<_> = plan.image.segments().iter().map(segment).collect();
    let kind = match plan.image.manifest().kind {
        kernlet_image::manifest::Kind::Native => Kind::Native,
        kernlet_image::manifest::Kind::Linux => Kind::Linux,
    };
    let instance = kernlet_sandbox::launch(kernlet_sandbox::Launch {
        image: plan.image.file(),
        segments: &segments,
        entry: plan.image.layout().entry,
        blob,
        stdio,
        published,
        nic,
        broker: inside,
        memory: plan.options.memory,
        kind,
    })
    .map_err(StartError::Launch)?;
    let kernlet_sandbox::Instance { pid, pidfd, control, shared } = instance;
    Ok(Guest {
        pid,
        pidfd,
        control: Channel::new(control),
        stdin,
        stdout,
        stderr,
        broker,
        trunk: None,
        remarks: None,
        watched: (kind == Kind::Linux).then_some((plan.options.memory, shared)),
    })
}

fn duplicate(granted: &OwnedFd) -> Result<OwnedFd, StartError> {
    granted.try_clone().map_err(host("cannot duplicate a descriptor"))
}

fn segment(segment: &Segment) -> kernlet_sandbox::Segment {
    kernlet_sandbox::Segment {
        offset: segment.file_offset,
        file_size: segment.file_len,
        address: segment.address,
        memory_size: segment.memory_len,
        flags: match segment.access {
            Access::Read => 4,
            Access::Execute => 5,
            Access::Write => 6,
        },
    }
}
