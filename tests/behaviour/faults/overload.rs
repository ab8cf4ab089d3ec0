//! Floods, and threads that are busy: row 36 of the list in [`super`].

use wsvisor::{
    ExitReason,
    testing::{ClientFrame, Script, frame},
};

use super::stage::{Fault, Next};
use crate::support::ms;

/// 100,000 messages and 10,000 pings in one go. All messages are delivered, and the pings may be
/// answered by a few pongs, the newest among them (RFC 6455 §5.5.3). The neighbour waits for none of
/// it.
#[test]
fn fault_36_a_flood_of_pings() {
    let pings: Vec<u8> = (0..10_000_u32).flat_map(|n| frame(0x89, n.to_be_bytes())).collect();
    let newest = ClientFrame::pong(9_999_u32.to_be_bytes());
    let script = Script::new().accept().send(pings).expect_up_to(newest, 10_000).close(1001);
    Fault::of(script).also_over_tcp().breaks(ms(100), 1001, Next::Retries, |reason| {
        matches!(reason, ExitReason::ClosedByPeer(_))
    });
}
