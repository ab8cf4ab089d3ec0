use actix::Message;

use crate::policy::AccessPolicy;

/// Changes the access policy of a supervisor and of all connections below it, those of supervisors
/// below included whatever policy they were started with; or that of a connection that is used alone.
///
/// It holds for everything from then on: each connection's URL is judged again, and the address that it
/// is connected to.
///
/// - A session that it forbids is closed with 1008, and what is queued is not written. An attempt that it
///   forbids is cancelled. The end tells why: [`ExitReason::PolicyDenied`], of the class `Fatal`, with the
///   rule that decided. The connection gives up ([`GaveUp`]), whatever its restart type.
/// - One that waits for its next attempt gives up at once.
/// - One at rest refuses its next [`Connect`](crate::Connect) and [`Reconnect`](crate::Reconnect).
/// - The others do not notice.
///
/// Of several endpoints, those that are forbidden are passed over; the connection ends if the one that it
/// is connected to is forbidden, or all are.
///
/// The answer comes when every connection below holds the new policy.
///
/// ```
/// # use wsvisor::{AccessPolicy, SetPolicy, Supervisor};
/// # #[actix::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let supervisor = Supervisor::builder().start()?;
/// let policy = AccessPolicy::from_rules(["allow wss://*.example.com", "deny wss://old.example.com"])?;
/// let set = supervisor.send(SetPolicy(policy)).await??;
/// assert_eq!((set.allowed, set.denied), (0, 0));
/// # Ok(()) }
/// ```
///
/// [`ExitReason::PolicyDenied`]: crate::ExitReason::PolicyDenied
/// [`GaveUp`]: crate::LifecycleEvent::GaveUp
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<PolicySet, SetPolicyError>")]
pub struct SetPolicy(pub AccessPolicy);

/// What a new policy means for the connections that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicySet {
    /// Connections that it lets be, those at rest included.
    pub allowed: usize,
    /// Connections that it forbids, those at rest included.
    pub denied: usize,
}

impl PolicySet {
    pub(crate) const fn of_one(is_allowed: bool) -> Self {
        if is_allowed { Self { allowed: 1, denied: 0 } } else { Self { allowed: 0, denied: 1 } }
    }
}

impl std::iter::Sum for PolicySet {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            allowed: sum.allowed + part.allowed,
            denied: sum.denied + part.denied,
        })
    }
}

/// Why a policy was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetPolicyError {
    /// The connection has a supervisor, whose policy holds for it.
    #[error("the connection's policy is its supervisor's; send SetPolicy there")]
    Supervised,
}
