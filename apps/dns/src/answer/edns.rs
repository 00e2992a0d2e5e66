//! The OPT record of a reply (RFC 6891), with what its options ask for.

use super::cookie::{CLIENT, WHOLE};
use super::policy::Policy;
use super::query::{COOKIE, NSID, Query};
use super::{Asker, Extended, Transport, UDP_LARGEST, rcode};

/// The octets of an OPT record without options, and of an option without data.
const FIXED: usize = 11;
const OPTION: usize = 4;
/// The longest cookie of a client (RFC 7873 section 4).
const LONGEST_COOKIE: usize = 40;

/// What goes into the OPT record.
pub(super) struct Opt<'p> {
    /// There is one, since the query had one.
    present: bool,
    dnssec: bool,
    nsid: Option<&'p [u8]>,
    cookie: Option<[u8; WHOLE]>,
    /// BADVERS or BADCOOKIE, if the query deserves it.
    pub(super) rcode: u8,
    /// The query had a good server cookie.
    pub(super) proven: bool,
}

impl<'p> Opt<'p> {
    /// Looks at the options of a query; None if a cookie has a length that none has.
    #[inline]
    pub(super) fn new(packet: &[u8], query: &Query, asker: &Asker, policy: &'p Policy) -> Option<Self> {
        let mut opt = Self {
            present: false,
            dnssec: false,
            nsid: None,
            cookie: None,
            rcode: rcode::NOERROR,
            proven: false,
        };
        let Some(edns) = &query.edns else { return Some(opt) };
        opt.present = true;
        if edns.version != 0 {
            opt.rcode = rcode::BADVERS;
            return Some(opt);
        }
        // The DO bit goes back as it came (RFC 3225).
        opt.dnssec = edns.dnssec_ok;
        if edns.nsid {
            opt.nsid = policy.nsid.as_deref();
        }
        if let (Some((at, length)), Some(cookies)) = (edns.cookie, &policy.cookies) {
            if length != CLIENT && !(2 * CLIENT..=LONGEST_COOKIE).contains(&length) {
                return None;
            }
            let (sent, now) = (&packet[at..at + length], (asker.clock)());
            opt.proven = cookies.check(sent, asker.address, now);
            opt.cookie = Some(cookies.make(sent, asker.address, now));
            if policy.require_cookie && !opt.proven && asker.transport == Transport::Udp {
                opt.rcode = rcode::BADCOOKIE;
            }
        }
        Some(opt)
    }

    /// How many octets it takes at least.
    #[inline]
    pub(super) fn length(&self) -> usize {
        if !self.present {
            return 0;
        }
        FIXED
            + self.nsid.map_or(0, |text| OPTION + text.len())
            + self.cookie.map_or(0, |cookie| OPTION + cookie.len())
    }

    /// Adds the record, if the query had one, and the number of additional records; where the reply ends.
    pub(super) fn write(
        &self,
        out: &mut [u8],
        end: usize,
        additional: u16,
        extended: Option<Extended>,
    ) -> usize {
        out[10..12].copy_from_slice(&(additional + u16::from(self.present)).to_be_bytes());
        if !self.present {
            return end;
        }
        let [size_high, size_low] = UDP_LARGEST.to_be_bytes();
        let (code, dnssec) = (self.rcode >> 4, u8::from(self.dnssec) << 7);
        out[end..end + FIXED].copy_from_slice(&[0, 0, 41, size_high, size_low, code, 0, dnssec, 0, 0, 0]);
        let mut at = end + FIXED;
        let mut option = |code: u16, data: &[u8]| {
            out[at..at + 2].copy_from_slice(&code.to_be_bytes());
            out[at + 2..at + OPTION].copy_from_slice(&(data.len() as u16).to_be_bytes());
            at += OPTION;
            out[at..at + data.len()].copy_from_slice(data);
            at += data.len();
        };
        if let Some(text) = self.nsid {
            option(NSID, text);
        }
        if let Some(cookie) = &self.cookie {
            option(COOKIE, cookie);
        }
        if let Some(extended) = extended {
            // A refusal is short, so that its reason fits.
            option(15, &[0, extended as u8]);
        }
        let length = (at - end - FIXED) as u16;
        out[end + FIXED - 2..end + FIXED].copy_from_slice(&length.to_be_bytes());
        at
    }
}
