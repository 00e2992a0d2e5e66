//! Descriptors: close(2), dup(2), fcntl(2), ioctl(2).

use super::description::Kind;
use super::flags::{ASYNC, CLOSE_ON_EXEC, DIRECT, NON_BLOCKING, SETTABLE};
use super::lock;
use super::readiness_signal::{self, OWNER_GROUP, OWNER_PROCESS, Signals};
use super::seal;
use super::space;
use crate::call::Outcome;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// close(2).
pub fn close(thread: &Rc<Thread>, descriptor: i32) -> Outcome {
    // What it referred to goes when nothing is borrowed any more.
    let closed = thread.process.files.table.borrow_mut().close(descriptor);
    closed.map(|_| 0)
}

/// close_range(2).
pub fn close_range(thread: &Rc<Thread>, first: u32, last: u32, flags: u32) -> Outcome {
    const UNSHARE: u32 = 2;
    const ON_EXEC: u32 = 4;
    if flags & !(UNSHARE | ON_EXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    let table = &thread.process.files.table;
    let within: Vec<i32> = {
        let table = table.borrow();
        let all = table.open().map(|(descriptor, _)| descriptor);
        all.filter(|&d| (first..=last).contains(&(d as u32))).collect()
    };
    for descriptor in within {
        if flags & ON_EXEC != 0 {
            if let Ok(slot) = table.borrow_mut().get_mut(descriptor) {
                slot.close_on_exec = true;
            }
        } else {
            let _closed = table.borrow_mut().close(descriptor);
        }
    }
    Ok(0)
}

/// dup(2), fcntl(2) F_DUPFD.
pub fn duplicate(thread: &Rc<Thread>, descriptor: i32, least: usize, on_exec: bool) -> Outcome {
    let mut table = thread.process.files.table.borrow_mut();
    let description = table.get(descriptor)?.description.clone();
    table.insert(description, on_exec, least).map(|number| number as u64)
}

/// dup2(2), dup3(2); `strict`: both must differ.
pub fn duplicate_to(thread: &Rc<Thread>, from: i32, to: i32, flags: u32, strict: bool) -> Outcome {
    if flags & !CLOSE_ON_EXEC != 0 || (strict && from == to) {
        return Err(Errno::EINVAL);
    }
    let mut table = thread.process.files.table.borrow_mut();
    let description = table.get(from)?.description.clone();
    if from == to {
        return Ok(to as u64);
    }
    let replaced = table.replace(to, description, flags & CLOSE_ON_EXEC != 0)?;
    drop(table);
    drop(replaced);
    Ok(to as u64)
}

/// fcntl(2).
pub async fn control(thread: &Rc<Thread>, descriptor: i32, command: i32, argument: u64) -> Outcome {
    const DUPLICATE: i32 = 0;
    const GET_DESCRIPTOR: i32 = 1;
    const SET_DESCRIPTOR: i32 = 2;
    const GET_FLAGS: i32 = 3;
    const SET_FLAGS: i32 = 4;
    const SET_OWNER: i32 = 8;
    const GET_OWNER: i32 = 9;
    const SET_SIGNAL: i32 = 10;
    const GET_SIGNAL: i32 = 11;
    const SET_OWNER_EXTENDED: i32 = 15;
    const GET_OWNER_EXTENDED: i32 = 16;
    const GET_LEASE: i32 = 1025;
    const DUPLICATE_ON_EXEC: i32 = 1030;
    const SET_PIPE_SIZE: i32 = 1031;
    const GET_PIPE_SIZE: i32 = 1032;
    const ADD_SEALS: i32 = 1033;
    const GET_SEALS: i32 = 1034;
    let file = thread.process.files.get(descriptor)?;
    let table = &thread.process.files.table;
    let on_path =
        matches!(command, DUPLICATE | GET_DESCRIPTOR | SET_DESCRIPTOR | GET_FLAGS | DUPLICATE_ON_EXEC);
    if file.is_path() && !on_path {
        return Err(Errno::EBADF);
    }
    match command {
        DUPLICATE | DUPLICATE_ON_EXEC => {
            let least = usize::try_from(argument as i32).map_err(|_| Errno::EINVAL)?;
            duplicate(thread, descriptor, least, command == DUPLICATE_ON_EXEC)
        }
        GET_DESCRIPTOR => Ok(table.borrow().get(descriptor)?.close_on_exec.into()),
        SET_DESCRIPTOR => {
            table.borrow_mut().get_mut(descriptor)?.close_on_exec = argument & 1 != 0;
            Ok(0)
        }
        GET_FLAGS => Ok(file.flags.get().into()),
        SET_FLAGS => {
            let wanted = argument as u32;
            let direct = matches!(file.kind, Kind::Pipe(_) | Kind::Console(_) | Kind::Notify(_));
            if direct && wanted & DIRECT != 0 {
                return Err(Errno::EINVAL);
            }
            let wanted = wanted & SETTABLE;
            if (wanted ^ file.flags.get()) & ASYNC != 0 && readiness_signal::sends(&file.kind) {
                Signals::of(thread, &file).switch(wanted & ASYNC != 0, descriptor);
            }
            file.flags.set(file.flags.get() & !SETTABLE | wanted);
            Ok(0)
        }
        SET_OWNER => {
            let id = argument as i32;
            let kind = if id < 0 { OWNER_GROUP } else { OWNER_PROCESS };
            let id = id.checked_abs().ok_or(Errno::EINVAL)?;
            Signals::of(thread, &file).set_owner(kind, id).map(|()| 0)
        }
        SET_OWNER_EXTENDED => {
            let [kind, id] = [0, 4].map(|at| user::read_u32((argument as usize).wrapping_add(at)));
            Signals::of(thread, &file).set_owner(kind? as i32, id? as i32).map(|()| 0)
        }
        SET_SIGNAL => Signals::of(thread, &file).set_number(argument).map(|()| 0),
        GET_SIGNAL => Ok(file.signals.get().map_or(0, |signals| signals.number().into())),
        GET_OWNER | GET_OWNER_EXTENDED => {
            let (kind, id) = file.signals.get().map_or((0, 0), |signals| signals.owner());
            if command == GET_OWNER {
                return Ok(i64::from(if kind == OWNER_GROUP { -id } else { id }) as u64);
            }
            let bytes = [kind, id].map(i32::to_le_bytes);
            user::write(argument as usize, bytes.as_flattened()).map(|()| 0)
        }
        GET_LEASE => Ok(2),
        SET_PIPE_SIZE | GET_PIPE_SIZE => {
            let Kind::Pipe(pipe) = &file.kind else { return Err(Errno::EBADF) };
            if command == GET_PIPE_SIZE {
                return Ok(pipe.capacity() as u64);
            }
            let is_root = thread.process.credentials.borrow().users[1] == 0;
            pipe.set_capacity(argument as u32 as usize, is_root).map(|size| size as u64)
        }
        ADD_SEALS => seal::add(&thread.process, &file, argument as u32),
        GET_SEALS => seal::get(&file),
        _ => lock::control(thread, &file, command, argument as usize).await,
    }
}

/// ioctl(2).
pub async fn device_control(thread: &Rc<Thread>, descriptor: i32, request: u32, argument: usize) -> Outcome {
    const FIONREAD: u32 = 0x541b;
    const FIONBIO: u32 = 0x5421;
    const FIOASYNC: u32 = 0x5452;
    const FIONCLEX: u32 = 0x5450;
    const FIOCLEX: u32 = 0x5451;
    let file = thread.process.files.get(descriptor)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    let table = &thread.process.files.table;
    match request {
        FIOCLEX | FIONCLEX => {
            table.borrow_mut().get_mut(descriptor)?.close_on_exec = request == FIOCLEX;
            Ok(0)
        }
        FIONBIO => {
            let on = user::read_u32(argument)? != 0;
            let flags = file.flags.get() & !NON_BLOCKING;
            file.flags.set(flags | if on { NON_BLOCKING } else { 0 });
            Ok(0)
        }
        FIOASYNC => {
            let on = user::read_u32(argument)? != 0;
            let flags = file.flags.get() & !ASYNC | if on { ASYNC } else { 0 };
            if flags != file.flags.get() {
                if !readiness_signal::sends(&file.kind) {
                    return Err(Errno::ENOTTY);
                }
                Signals::of(thread, &file).switch(on, descriptor);
                file.flags.set(flags);
            }
            Ok(0)
        }
        FIONREAD => {
            let there = match &file.kind {
                Kind::Pipe(pipe) => pipe.filled() as u64,
                Kind::Notify(notify) => notify.filled() as u64,
                Kind::Console(console) => console.filled()? as u64,
                Kind::Master(master) => master.filled() as u64,
                Kind::Regular(_) | Kind::Volume(_) => {
                    space::length(&file).await?.saturating_sub(file.offset.get())
                }
                Kind::Socket(socket) => return crate::sockets::control(socket, request, argument),
                _ => return Err(Errno::ENOTTY),
            };
            let there = u32::try_from(there).unwrap_or(i32::MAX as u32);
            user::write(argument, &there.to_le_bytes()).map(|()| 0)
        }
        _ => match &file.kind {
            Kind::Console(console) => console.control(thread, request, argument),
            Kind::Master(master) => master.control(thread, request, argument),
            Kind::Socket(socket) => crate::sockets::control(socket, request, argument),
            _ => Err(Errno::ENOTTY),
        },
    }
}
