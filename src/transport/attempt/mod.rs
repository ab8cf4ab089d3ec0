//! One attempt to connect, step by step. This is the one place that knows their order:
//!
//! | step | room | what it may refuse |
//! | --- | --- | --- |
//! | its turn | `gate` | nothing: it delays |
//! | a stream to the server | `stream` | addresses that the policy does not allow |
//! | TLS | `stream`, `tls` | certificates that are not trusted |
//! | the opening handshake | `handshake`, `upgrade` | answers other than a right 101 |

mod handshake;
mod route;
mod stream;

use std::{future::Future, rc::Rc, time::Duration};

pub(crate) use self::route::{Opened, Route};
use crate::{
    lifecycle::{DialError, DialPhase, ExitReason},
    protocol::HandshakeError,
    supervision::{Heed, Outcome},
};

/// One attempt, once it is its turn.
pub(crate) async fn dial(route: Rc<Route>, heed: Heed) -> Result<Opened, ExitReason> {
    let Some(gate) = &route.gate else { return attempt(&route).await };
    route.waits_for_turn.set(true);
    let permit = gate.enter(&route.allowed.url().origin().into(), heed).await;
    route.waits_for_turn.set(false);
    let attempted = attempt(&route).await;
    permit.ended(outcome(&attempted));
    attempted
}

/// What an attempt says of the host.
fn outcome(attempted: &Result<Opened, ExitReason>) -> Outcome {
    match attempted {
        Err(ExitReason::Handshake(HandshakeError::Status { code: 500..=599, .. })) => {
            Outcome::Failed
        }
        Ok(_) | Err(ExitReason::Handshake(_)) => Outcome::Reached,
        // These say something of us.
        Err(ExitReason::Dial(DialError::AddressBlocked { .. } | DialError::TlsUnavailable(_))) => {
            Outcome::Unknown
        }
        Err(_) => Outcome::Failed,
    }
}

/// The steps in their order, each within its time.
async fn attempt(route: &Route) -> Result<Opened, ExitReason> {
    let io = stream::open(route).await?;
    let io = stream::secure(route, io).await?;
    handshake::open(route, io).await
}

async fn within<T>(
    limit: Duration,
    phase: DialPhase,
    work: impl Future<Output = T>,
) -> Result<T, DialError> {
    let timeout = |_| DialError::Timeout { phase, limit };
    tokio::time::timeout(limit, work).await.map_err(timeout)
}
