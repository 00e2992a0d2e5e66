//! Queries over UDP.

use super::{Shared, clock};
use dns::{Asker, Transport, Verdict, truncate};
use kernlet::alloc::rc::Rc;
use kernlet::net::{Batch, UdpSocket};

/// Above the largest answer over UDP, and above any query that is not itself an attack.
const LARGEST: usize = 1280;
/// Buffers of an idle server; they grow when batches come full.
const FEW: usize = 4;
/// Buffers of a busy one: more take no less time a query.
const MANY: usize = 64;

/// Answers for ever.
pub async fn serve(socket: UdpSocket, shared: Rc<Shared>) {
    let mut slots = FEW;
    let mut batch = Batch::new(slots, LARGEST);
    loop {
        let mut count = 0;
        let answer = |query: &[u8], peer: core::net::SocketAddr, reply: &mut [u8]| {
            count += 1;
            let asker = Asker { transport: Transport::Udp, address: peer.ip(), clock };
            let written = shared.zones.borrow().respond(query, &asker, &shared.policy, reply);
            let verdict = match (&written, &shared.limiter) {
                (Some(written), Some(limiter)) => limiter.borrow_mut().judge(written, peer.ip(), clock()),
                _ => Verdict::Send,
            };
            shared.note(Transport::Udp, written.as_ref(), verdict);
            match (written, verdict) {
                (None, _) | (_, Verdict::Drop) => 0,
                (Some(written), Verdict::Send) => written.length,
                (Some(written), Verdict::Truncate) => truncate(&written, reply),
            }
        };
        if let Err(error) = socket.serve_batch(&mut batch, answer).await {
            kernlet::log::warning!("udp: {error}");
        }
        if count >= slots && slots < MANY {
            slots = MANY;
            batch = Batch::new(slots, LARGEST);
        }
    }
}
