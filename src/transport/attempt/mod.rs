//! One attempt to connect, step by step. This is the one place that knows their order:
//!
//! | step | room | what it may refuse |
//! | --- | --- | --- |
//! | the endpoint | `endpoint` | URLs that the policy does not allow |
//! | its turn | `gate` | nothing: it delays |
//! | credentials | `credentials` | headers that cannot be sent |
//! | a stream to the server | `stream`, `proxy` | addresses that the policy does not allow |
//! | TLS | `stream`, `tls` | certificates that are not trusted |
//! | whether the policy is as before | `standing` | what has been forbidden meanwhile |
//! | the opening handshake | `handshake`, `http` | answers other than a right 101 |
//! | redirects, each of which begins with its turn again | `hop` | those that may not be followed |

mod credentials;
mod endpoint;
mod handshake;
mod hop;
mod provider;
mod route;
mod stream;

use std::{future::Future, rc::Rc, time::Duration};

use futures_util::TryFutureExt as _;

pub(crate) use self::route::{Memory, Occasion, Opened, Route};
use self::{handshake::Answered, hop::Hop};
use crate::{
    lifecycle::{DialError, DialPhase, ExitReason},
    protocol::HandshakeError,
    spec::Headers,
    supervision::{Heed, Outcome},
};

/// One attempt, once it is its turn.
pub(crate) async fn dial(
    route: Rc<Route>,
    occasion: Occasion,
    heed: Heed,
) -> Result<Opened, ExitReason> {
    route.standing.begin();
    let endpoint = endpoint::choose(&route, &occasion).await;
    let attempted = match endpoint {
        Ok(endpoint) => follow(&route, &occasion, Hop::first(endpoint), heed).await,
        Err(reason) => Err(reason),
    };
    route.memory.attempted.set(true);
    attempted
}

/// From the endpoint to where it sends, as far as redirects are followed.
async fn follow(
    route: &Route,
    occasion: &Occasion,
    mut hop: Hop,
    heed: Heed,
) -> Result<Opened, ExitReason> {
    loop {
        match by_turns(route, occasion, &hop, heed).await? {
            Answered::Accepted(opened) => return Ok(opened),
            Answered::Elsewhere(answer) => hop = hop.next(route, &answer)?,
        }
    }
}

/// Waits for the turn to dial this host, and tells the gate what came of it.
async fn by_turns(
    route: &Route,
    occasion: &Occasion,
    hop: &Hop,
    heed: Heed,
) -> Result<Answered, ExitReason> {
    let Some(gate) = &route.gate else { return Box::pin(attempt(route, occasion, hop)).await };
    let waits_with = &route.standing.ticket;
    let permit = gate.enter(&hop.allowed.url().origin().into(), heed, waits_with).await;
    // Boxed because it is large: many wait at the gate, and few go through at a time.
    let attempted = Box::pin(attempt(route, occasion, hop)).await;
    permit.ended(outcome(&attempted));
    attempted
}

/// What an attempt says of the host.
fn outcome(attempted: &Result<Answered, ExitReason>) -> Outcome {
    match attempted {
        Err(ExitReason::Handshake(HandshakeError::Status { code: 500..=599, .. })) => {
            Outcome::Failed
        }
        Ok(_) | Err(ExitReason::Handshake(_) | ExitReason::Unauthorized { .. }) => Outcome::Reached,
        Err(ExitReason::Dial(DialError::Local { .. })) => Outcome::Local,
        // These say something of us.
        Err(ExitReason::Dial(
            DialError::Credentials(_)
            | DialError::Timeout { phase: DialPhase::Credentials, .. }
            | DialError::AddressBlocked { .. }
            | DialError::TlsUnavailable(_),
        )) => Outcome::Unknown,
        Err(ExitReason::Dial(DialError::Proxy { failure, .. })) if !failure.is_of_server() => {
            Outcome::Unknown
        }
        Err(ExitReason::Dial(DialError::Timeout { phase: DialPhase::Proxy, .. })) => {
            Outcome::Unknown
        }
        Err(_) => Outcome::Failed,
    }
}

/// The steps towards one server in their order, each within its time.
async fn attempt(route: &Route, occasion: &Occasion, hop: &Hop) -> Result<Answered, ExitReason> {
    let allowed = &hop.allowed;
    let credentials = if hop.is_trusted {
        credentials::gather(route, occasion, allowed).await?
    } else {
        Headers::default()
    };
    let io = stream::open(route, allowed).await?;
    let io = stream::secure(route, allowed.url(), io).await?;
    // Until here nothing was said that is worth anything, and the policy may have changed meanwhile.
    if let Some(Err(denied)) = route.standing.judge() {
        return Err(ExitReason::PolicyDenied(denied));
    }
    let answer = handshake::open(route, hop, &credentials, io).await;
    match answer {
        // These say nothing of the credentials.
        Ok(Answered::Elsewhere(_)) => answer,
        _ if !hop.is_trusted => answer,
        _ => credentials::judge(route, credentials, answer),
    }
}

/// Not an `async fn`: that would hold `work` twice.
fn within<T>(
    limit: Duration,
    phase: DialPhase,
    work: impl Future<Output = T>,
) -> impl Future<Output = Result<T, DialError>> {
    tokio::time::timeout(limit, work).map_err(move |_| DialError::Timeout { phase, limit })
}
