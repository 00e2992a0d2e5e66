//! What a server counts, as text for Prometheus (its exposition format 0.0.4).

use crate::Zones;
use crate::answer::{Reply, Transport};
use crate::limit::Verdict;
use crate::text::type_name;
use alloc::string::{String, ToString};
use core::fmt::Write;

/// Types below this are counted one by one, all others together.
const TYPES: usize = 264;
const RCODES: [&str; 24] = [
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "7",
    "8",
    "NOTAUTH",
    "10",
    "11",
    "12",
    "13",
    "14",
    "15",
    "BADVERS",
    "17",
    "18",
    "19",
    "20",
    "21",
    "22",
    "BADCOOKIE",
];

/// Counts replies. Counting one costs a few additions.
pub struct Counters {
    types: [u64; TYPES + 1],
    rcodes: [u64; RCODES.len()],
    /// By transport: queries, octets of replies.
    transports: [[u64; 2]; 2],
    /// Packets that got no reply, as they were no queries.
    ignored: u64,
    /// Replies that were truncated, and dropped, since there were too many of them.
    limited: [u64; 2],
    /// TCP connections that were taken, and that were turned away.
    pub connections: [u64; 2],
    /// Zone transfers.
    pub transfers: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            types: [0; TYPES + 1],
            rcodes: [0; RCODES.len()],
            transports: [[0; 2]; 2],
            ignored: 0,
            limited: [0; 2],
            connections: [0; 2],
            transfers: 0,
        }
    }
}

impl Counters {
    /// Counts what came of one packet.
    #[inline]
    pub fn count(&mut self, transport: Transport, reply: Option<&Reply>, verdict: Verdict) {
        let Some(reply) = reply else {
            self.ignored += 1;
            return;
        };
        self.types[usize::from(reply.qtype).min(TYPES)] += 1;
        self.rcodes[usize::from(reply.rcode).min(RCODES.len() - 1)] += 1;
        let [queries, octets] = &mut self.transports[transport as usize];
        *queries += 1;
        match verdict {
            Verdict::Send => *octets += reply.length as u64,
            Verdict::Truncate => {
                *octets += reply.question as u64;
                self.limited[0] += 1;
            }
            Verdict::Drop => self.limited[1] += 1,
        }
    }

    /// All that was counted, with the zones.
    pub fn text(&self, zones: &Zones) -> String {
        let mut text = Text(String::new());
        let types = self.types.iter().enumerate().filter(|(_, count)| **count > 0);
        text.family("dns_queries_total", "Queries by type.", "counter");
        for (code, &count) in types {
            match code {
                0 => text.labelled("dns_queries_total", "type", "none", count),
                TYPES => text.labelled("dns_queries_total", "type", "other", count),
                _ => match type_name(code as u16) {
                    Some(name) => text.labelled("dns_queries_total", "type", name, count),
                    None => text.labelled("dns_queries_total", "type", &alloc::format!("TYPE{code}"), count),
                },
            }
        }
        text.family(
            "dns_responses_total",
            "Replies by response code, with those that were not sent.",
            "counter",
        );
        for (name, &count) in RCODES.iter().zip(&self.rcodes).filter(|(_, count)| **count > 0) {
            text.labelled("dns_responses_total", "rcode", name, count);
        }
        let transports = ["udp", "tcp"].into_iter().zip(self.transports);
        text.family("dns_transport_queries_total", "Queries by transport.", "counter");
        for (name, [queries, _]) in transports.clone() {
            text.labelled("dns_transport_queries_total", "transport", name, queries);
        }
        text.family("dns_transport_response_bytes_total", "Octets of replies by transport.", "counter");
        for (name, [_, octets]) in transports {
            text.labelled("dns_transport_response_bytes_total", "transport", name, octets);
        }
        text.family("dns_ignored_packets_total", "Packets that were no queries.", "counter");
        text.plain("dns_ignored_packets_total", self.ignored);
        text.family(
            "dns_rate_limited_total",
            "Replies beyond the rate limit, by what became of them.",
            "counter",
        );
        text.labelled("dns_rate_limited_total", "action", "truncated", self.limited[0]);
        text.labelled("dns_rate_limited_total", "action", "dropped", self.limited[1]);
        text.family("dns_tcp_connections_total", "TCP connections, by what became of them.", "counter");
        text.labelled("dns_tcp_connections_total", "action", "accepted", self.connections[0]);
        text.labelled("dns_tcp_connections_total", "action", "refused", self.connections[1]);
        text.family("dns_transfers_total", "Zone transfers that were begun.", "counter");
        text.plain("dns_transfers_total", self.transfers);
        for (name, help, kind) in [
            ("dns_zone_queries_total", "Queries by zone.", "counter"),
            ("dns_zone_serial", "Serial number by zone.", "gauge"),
            ("dns_zone_records", "Records by zone.", "gauge"),
        ] {
            text.family(name, help, kind);
            for zone in zones.iter() {
                let value = match name {
                    "dns_zone_serial" => zone.serial().into(),
                    "dns_zone_records" => zone.records() as u64,
                    _ => zone.queries(),
                };
                text.labelled(name, "zone", &zone.origin().to_string(), value);
            }
        }
        text.0
    }
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn plain(&mut self, name: &str, value: u64) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, label: &str, text: &str, value: u64) {
        let _ = write!(self.0, "{name}{{{label}=\"");
        for c in text.chars() {
            if matches!(c, '\\' | '"') {
                self.0.push('\\');
            }
            self.0.push(c);
        }
        let _ = writeln!(self.0, "\"}} {value}");
    }
}
