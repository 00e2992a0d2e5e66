//! Queries over UDP.

use super::Shared;
use dns::Transport;
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
        let zones = &shared.zones;
        let answer = |query: &[u8], _peer, reply: &mut [u8]| {
            count += 1;
            zones.borrow().answer(query, Transport::Udp, reply).unwrap_or(0)
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
