//! A small 9P2000.L server with its files in memory, which is strict with its client.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::{BTreeMap, HashMap};

pub enum Node {
    Directory(BTreeMap<Vec<u8>, usize>),
    File(Vec<u8>),
    Link(Vec<u8>),
    Pipe,
}

pub struct Server {
    pub nodes: Vec<Node>,
    /// Fid to node, and whether it is open.
    pub fids: HashMap<u32, (usize, bool)>,
    pub modes: HashMap<usize, (u32, u64)>,
    pub syncs: usize,
    msize: usize,
}

const ENOENT: u32 = 2;
const EBADF: u32 = 9;
const EEXIST: u32 = 17;
const ENOTDIR: u32 = 20;
const EISDIR: u32 = 21;
const EINVAL: u32 = 22;
const ENOTEMPTY: u32 = 39;

struct Request<'a>(&'a [u8]);

impl Request<'_> {
    fn number(&mut self, bytes: usize) -> u64 {
        let (head, rest) = self.0.split_at(bytes);
        self.0 = rest;
        head.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
    fn u32(&mut self) -> u32 {
        self.number(4) as u32
    }
    fn text(&mut self) -> Vec<u8> {
        let length = self.number(2) as usize;
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        head.to_vec()
    }
}

impl Server {
    pub fn new() -> Self {
        let nodes = vec![Node::Directory(BTreeMap::new())];
        Self { nodes, fids: HashMap::new(), modes: HashMap::new(), syncs: 0, msize: 8192 }
    }

    pub fn put(&mut self, folder: usize, name: &str, node: Node) -> usize {
        self.nodes.push(node);
        let new = self.nodes.len() - 1;
        self.names(folder).unwrap().insert(name.into(), new);
        new
    }

    fn names(&mut self, node: usize) -> Result<&mut BTreeMap<Vec<u8>, usize>, u32> {
        match &mut self.nodes[node] {
            Node::Directory(names) => Ok(names),
            _ => Err(ENOTDIR),
        }
    }

    fn fid(&self, fid: u32) -> Result<usize, u32> {
        self.fids.get(&fid).map(|(node, _)| *node).ok_or(EBADF)
    }

    fn qid(&self, node: usize) -> Vec<u8> {
        let kind = match self.nodes[node] {
            Node::Directory(_) => 0x80,
            Node::Link(_) => 0x02,
            Node::File(_) | Node::Pipe => 0,
        };
        [&[kind, 0, 0, 0, 0][..], &(node as u64).to_le_bytes()].concat()
    }

    /// As [`Self::answer`] for a client that was lied to: it may ask for anything, but no fid twice is expected of it.
    pub fn answer_leniently(&mut self, message: &[u8]) -> Vec<u8> {
        if message[4] == 110 {
            let new = u32::from_le_bytes(message[11..15].try_into().unwrap());
            self.fids.remove(&new);
        }
        self.answer(message)
    }

    pub fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        assert_eq!(message.len() as u32, u32::from_le_bytes(message[..4].try_into().unwrap()));
        assert!(message.len() <= self.msize);
        let (kind, tag) = (message[4], &message[5..7]);
        let (kind, body) = match self.respond(kind, Request(&message[7..])) {
            Ok(body) => (kind + 1, body),
            Err(error) => (7, error.to_le_bytes().to_vec()),
        };
        let size = (body.len() as u32 + 7).to_le_bytes();
        [&size[..], &[kind], tag, &body].concat()
    }

    fn create(&mut self, folder: usize, name: Vec<u8>, node: Node) -> Result<usize, u32> {
        let new = self.nodes.len();
        if self.names(folder)?.contains_key(&name) {
            return Err(EEXIST);
        }
        self.names(folder)?.insert(name, new);
        self.nodes.push(node);
        Ok(new)
    }

    fn respond(&mut self, kind: u8, mut r: Request<'_>) -> Result<Vec<u8>, u32> {
        match kind {
            100 => {
                let size = r.u32().min(self.msize as u32);
                Ok([&size.to_le_bytes()[..], &8u16.to_le_bytes(), b"9P2000.L"].concat())
            }
            104 => {
                self.fids.insert(r.u32(), (0, false));
                Ok(self.qid(0))
            }
            110 => self.walk(r),
            12 => {
                let (fid, flags) = (r.u32(), r.u32());
                let node = self.fid(fid)?;
                match &mut self.nodes[node] {
                    Node::File(bytes) if flags & 0o1000 != 0 => bytes.clear(),
                    Node::Directory(_) if flags & 3 != 0 => return Err(EISDIR),
                    Node::Link(_) | Node::Pipe => panic!("only files and directories are opened"),
                    _ => {}
                }
                self.fids.insert(fid, (node, true));
                Ok([self.qid(node), vec![0; 4]].concat())
            }
            14 => {
                let (fid, name) = (r.u32(), r.text());
                let folder = self.fid(fid)?;
                let new = self.create(folder, name, Node::File(Vec::new()))?;
                self.fids.insert(fid, (new, true));
                Ok([self.qid(new), vec![0; 4]].concat())
            }
            16 => {
                let (fid, name, target) = (r.u32(), r.text(), r.text());
                let new = self.create(self.fid(fid)?, name, Node::Link(target))?;
                Ok(self.qid(new))
            }
            22 => match &self.nodes[self.fid(r.u32())?] {
                Node::Link(target) => Ok([&(target.len() as u16).to_le_bytes()[..], target].concat()),
                _ => Err(EINVAL),
            },
            24 => self.attributes(r),
            26 => self.set(r),
            40 => self.read_directory(r),
            50 => {
                self.fid(r.u32())?;
                self.syncs += 1;
                Ok(Vec::new())
            }
            70 => {
                let (folder, node, name) = (self.fid(r.u32())?, self.fid(r.u32())?, r.text());
                self.names(folder)?.insert(name, node);
                Ok(Vec::new())
            }
            72 => {
                let (fid, name) = (r.u32(), r.text());
                let new = self.create(self.fid(fid)?, name, Node::Directory(BTreeMap::new()))?;
                Ok(self.qid(new))
            }
            74 => {
                let (old, name) = (self.fid(r.u32())?, r.text());
                let (new, to) = (self.fid(r.u32())?, r.text());
                let node = self.names(old)?.remove(&name).ok_or(ENOENT)?;
                self.names(new)?.insert(to, node);
                Ok(Vec::new())
            }
            76 => {
                let (folder, name, flags) = (self.fid(r.u32())?, r.text(), r.u32());
                let node = *self.names(folder)?.get(&name).ok_or(ENOENT)?;
                match &self.nodes[node] {
                    Node::Directory(_) if flags & 0x200 == 0 => return Err(EISDIR),
                    Node::Directory(names) if !names.is_empty() => return Err(ENOTEMPTY),
                    Node::Directory(_) => {}
                    _ if flags & 0x200 != 0 => return Err(ENOTDIR),
                    _ => {}
                }
                self.names(folder)?.remove(&name);
                Ok(Vec::new())
            }
            116 => {
                let (node, offset, count) = (self.open(r.u32())?, r.number(8) as usize, r.u32() as usize);
                let Node::File(bytes) = &self.nodes[node] else { return Err(EISDIR) };
                let rest = bytes.get(offset..).unwrap_or(&[]);
                let data = &rest[..rest.len().min(count).min(self.msize - 11)];
                Ok([&(data.len() as u32).to_le_bytes()[..], data].concat())
            }
            118 => {
                let (node, offset, count) = (self.open(r.u32())?, r.number(8) as usize, r.u32() as usize);
                let Node::File(bytes) = &mut self.nodes[node] else { return Err(EISDIR) };
                bytes.resize(bytes.len().max(offset + count), 0);
                bytes[offset..offset + count].copy_from_slice(&r.0[..count]);
                Ok((count as u32).to_le_bytes().to_vec())
            }
            120 => self.fids.remove(&r.u32()).map(|_| Vec::new()).ok_or(EBADF),
            8 => Ok([&[0, 0, 0, 0, 0, 16, 0, 0][..], &[1; 48], &[0; 4]].concat()),
            _ => Err(95),
        }
    }

    fn open(&self, fid: u32) -> Result<usize, u32> {
        match self.fids.get(&fid) {
            Some((node, true)) => Ok(*node),
            _ => Err(EBADF),
        }
    }

    fn walk(&mut self, mut r: Request<'_>) -> Result<Vec<u8>, u32> {
        let (from, to, count) = (r.u32(), r.u32(), r.number(2));
        assert!(!self.fids.contains_key(&to), "a fid is used twice");
        let mut node = self.fid(from)?;
        let mut qids = Vec::new();
        for i in 0..count {
            let name = r.text();
            assert!(!name.contains(&b'/') && !matches!(&name[..], b"" | b"." | b".."));
            let next = self.names(node).and_then(|names| names.get(&name).copied().ok_or(ENOENT));
            match next {
                Err(error) if i == 0 => return Err(error),
                Err(_) => return Ok([&(i as u16).to_le_bytes()[..], &qids].concat()),
                Ok(next) => node = next,
            }
            qids.extend(self.qid(node));
        }
        self.fids.insert(to, (node, false));
        Ok([&(count as u16).to_le_bytes()[..], &qids].concat())
    }

    fn attributes(&mut self, mut r: Request<'_>) -> Result<Vec<u8>, u32> {
        let node = self.fid(r.u32())?;
        let (kind, size) = match &self.nodes[node] {
            Node::Directory(_) => (0o040_000, 0),
            Node::File(bytes) => (0o100_000, bytes.len()),
            Node::Link(target) => (0o120_000, target.len()),
            Node::Pipe => (0o010_000, 0),
        };
        let (mode, modified) = self.modes.get(&node).copied().unwrap_or((0o644, 0));
        let mut out = 0x7ffu64.to_le_bytes().to_vec();
        out.extend(self.qid(node));
        out.extend([(kind | mode) as u8, ((kind | mode) >> 8) as u8, 0, 0]);
        out.extend([0; 8]);
        for number in [1, 0, size as u64, 4096, 0, 0, 0, modified / 1_000_000_000, modified % 1_000_000_000] {
            out.extend(number.to_le_bytes());
        }
        out.extend([0; 48]);
        Ok(out)
    }

    fn set(&mut self, mut r: Request<'_>) -> Result<Vec<u8>, u32> {
        let node = self.fid(r.u32())?;
        let (valid, mode) = (r.u32(), r.u32());
        let (_owner, size) = (r.number(8), r.number(8));
        let _accessed = (r.number(8), r.number(8));
        let modified = r.number(8) * 1_000_000_000 + r.number(8);
        if let (Node::File(bytes), true) = (&mut self.nodes[node], valid & 8 != 0) {
            bytes.resize(size as usize, 0);
        }
        let known = self.modes.entry(node).or_insert((0o644, 0));
        known.0 = if valid & 1 != 0 { mode } else { known.0 };
        known.1 = if valid & 0x120 == 0x120 { modified } else { known.1 };
        Ok(Vec::new())
    }

    fn read_directory(&mut self, mut r: Request<'_>) -> Result<Vec<u8>, u32> {
        let (node, offset, count) = (self.open(r.u32())?, r.number(8) as usize, r.u32() as usize);
        let names = self.names(node)?.clone();
        let mut data = Vec::new();
        for (i, (name, child)) in names.iter().enumerate().skip(offset) {
            let kind = match self.nodes[*child] {
                Node::Directory(_) => 4,
                Node::Link(_) => 10,
                Node::File(_) => 8,
                Node::Pipe => 1,
            };
            let mut entry = self.qid(*child);
            entry.extend((i as u64 + 1).to_le_bytes());
            entry.push(kind);
            entry.extend((name.len() as u16).to_le_bytes());
            entry.extend(name);
            if data.len() + entry.len() > count.min(self.msize - 11) {
                break;
            }
            data.extend(entry);
        }
        Ok([&(data.len() as u32).to_le_bytes()[..], &data].concat())
    }
}
