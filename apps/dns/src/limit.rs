//! Response rate limiting, so that the server cannot be used to flood others with its replies.
//!
//! Replies that say the same go to one network at a bounded rate, as with NSD and BIND. What is beyond is dropped, but
//! for some that are sent truncated: an honest client in the same network then asks over TCP, where addresses are true.

use crate::answer::{Kind, Reply, mapped};
use crate::hash::NameHash;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

/// How many kinds of replies are kept in mind; the newest take the places of others. A power of two.
const BUCKETS: usize = 1 << 16;
/// For how many seconds a flood counts after it has ended.
const WINDOW: i32 = 4;
/// The networks that are one client: /24 for IPv4, which IPv6 maps into its last 32 bits, and /56.
const HOST_BITS: [u32; 2] = [8, 128 - 56];

/// What is to be done with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent.
    Send,
    /// It is to be sent without its records, truncated.
    Truncate,
    /// It is not to be sent.
    Drop,
}

#[derive(Clone, Copy)]
struct Bucket {
    key: u64,
    /// When the balance was right, and what may still be sent then.
    second: u32,
    balance: i32,
}

/// Bounds the rate of replies over UDP.
pub struct Limiter {
    rate: i32,
    slip: u32,
    slipped: u32,
    hash: NameHash,
    buckets: Vec<Bucket>,
}

impl Limiter {
    /// Lets `rate` equal replies a second through to each network. Of those beyond, every `slip`th is truncated
    /// instead of dropped; 0 is none. The seed keys the hashes, so that nobody can aim at another's bucket.
    pub fn new(rate: u32, slip: u32, seed: u64) -> Self {
        let rate = rate.clamp(1, 1 << 20) as i32;
        let buckets = vec![Bucket { key: 0, second: 0, balance: 0 }; BUCKETS];
        Self { rate, slip, slipped: 0, hash: NameHash::new(seed), buckets }
    }

    /// Judges a reply to `address` at `now`, in seconds.
    pub fn judge(&mut self, reply: &Reply, address: IpAddr, now: u32) -> Verdict {
        if reply.proven || reply.kind == Kind::Notify {
            return Verdict::Send;
        }
        let address = mapped(address);
        let v4 = address >> 32 == 0xffff;
        let network = address >> HOST_BITS[usize::from(!v4)];
        // What is said: of errors the code; else the zone, and what about which name.
        let mut said = [0; 32];
        said[..16].copy_from_slice(&network.to_be_bytes());
        said[16] = reply.rcode;
        if reply.kind != Kind::Error {
            said[17] = 1;
            said[20..24].copy_from_slice(&reply.subject.to_be_bytes());
            said[24..].copy_from_slice(&(reply.zone.map_or(0, |at| at as u64 + 1)).to_be_bytes());
        }
        let key = self.hash.child(self.hash.root(), &said);
        let bucket = &mut self.buckets[key as usize & (BUCKETS - 1)];
        if bucket.key != key {
            *bucket = Bucket { key, second: now, balance: self.rate };
        }
        let passed = now.wrapping_sub(bucket.second).min(1 + WINDOW as u32) as i32;
        bucket.second = now;
        bucket.balance = (bucket.balance + passed * self.rate).min(self.rate) - 1;
        if bucket.balance >= 0 {
            return Verdict::Send;
        }
        bucket.balance = bucket.balance.max(-WINDOW * self.rate);
        self.slipped = self.slipped.wrapping_add(1);
        let slips = self.slip > 0 && self.slipped.is_multiple_of(self.slip);
        if slips && reply.kind == Kind::Answer { Verdict::Truncate } else { Verdict::Drop }
    }
}

/// Makes a reply one that is truncated, with no more than its question; how long it is then.
pub fn truncate(reply: &Reply, out: &mut [u8]) -> usize {
    out[2] |= 2;
    out[6..12].fill(0);
    reply.question
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(subject: u32) -> Reply {
        Reply {
            length: 100,
            question: 30,
            kind: Kind::Answer,
            qtype: 1,
            rcode: 0,
            zone: Some(0),
            subject,
            proven: false,
        }
    }

    fn sent(limiter: &mut Limiter, reply: &Reply, address: &str, now: u32, count: usize) -> [usize; 3] {
        let mut seen = [0; 3];
        for _ in 0..count {
            seen[limiter.judge(reply, address.parse().unwrap(), now) as usize] += 1;
        }
        seen
    }

    #[test]
    fn equal_replies_to_one_network_are_bounded_and_every_second_slips() {
        let mut limiter = Limiter::new(10, 2, 7);
        assert_eq!(sent(&mut limiter, &reply(1), "192.0.2.1", 100, 30), [10, 10, 10]);
        assert_eq!(sent(&mut limiter, &reply(1), "192.0.2.99", 100, 2), [0, 1, 1], "the same network");
        assert_eq!(sent(&mut limiter, &reply(1), "192.0.3.1", 100, 5), [5, 0, 0], "another one");
        assert_eq!(sent(&mut limiter, &reply(2), "192.0.2.1", 100, 5), [5, 0, 0], "another name");
        assert_eq!(sent(&mut limiter, &reply(1), "192.0.2.1", 101, 2)[0], 0, "the flood counts for a while");
        assert_eq!(sent(&mut limiter, &reply(1), "192.0.2.1", 106, 10), [10, 0, 0], "but not for ever");
        assert_eq!(sent(&mut limiter, &reply(1), "2001:db8::1", 100, 11), [10, 0, 1].map(|n| n));
        assert_eq!(sent(&mut limiter, &reply(1), "2001:db8:0:ff::1", 100, 2)[0], 0, "one /56");
        assert_eq!(sent(&mut limiter, &reply(1), "2001:db8:0:100::1", 100, 2)[0], 2);
    }

    #[test]
    fn who_has_shown_a_cookie_is_not_limited_and_errors_never_slip() {
        let mut limiter = Limiter::new(1, 1, 7);
        let proven = Reply { proven: true, ..reply(1) };
        assert_eq!(sent(&mut limiter, &proven, "192.0.2.1", 5, 50), [50, 0, 0]);
        let error = Reply { kind: Kind::Error, rcode: 5, ..reply(1) };
        assert_eq!(sent(&mut limiter, &error, "192.0.2.1", 5, 9), [1, 0, 8]);
        assert_eq!(sent(&mut limiter, &reply(1), "192.0.2.1", 5, 9), [1, 8, 0]);
    }

    #[test]
    fn a_truncated_reply_is_its_question() {
        let mut out = [9; 100];
        assert_eq!(truncate(&reply(1), &mut out), 30);
        assert_eq!((out[2] & 2, &out[6..12]), (2, &[0; 6][..]));
    }
}
