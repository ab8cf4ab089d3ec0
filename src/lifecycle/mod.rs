//! One connection, as pure decisions: its state machine, why a session ends, what that end
//! means, and how long to wait before the next attempt.
//!
//! Nothing here reads a clock, draws a random number or touches a socket. Time and randomness
//! are arguments, and what should happen is a value that the actor carries out.

mod addresses;
mod awaited;
mod backoff;
mod budget;
mod budgets;
mod class;
mod class_rule;
mod endpoint_rotation;
mod epoch;
mod event;
mod exit;
mod exit_rules;
mod filter;
mod floor;
mod id;
mod intensity;
mod liveness;
mod local_failure;
mod machine;
mod outbox;
mod provider_failure;
mod proxy_failure;
mod refused;
mod requests;
mod restart;
mod rotation;
mod send_limit;
mod stable;
mod subscription_id;
mod tls_failure;

pub use addresses::{AddressFailure, AddressFailures, AddressFate, ResolveError};
pub(crate) use awaited::Awaited;
pub use backoff::{Backoff, InvalidBackoff, Jitter};
pub use budget::RetryBudget;
pub use budgets::Budgets;
pub use class::ExitClass;
pub use class_rule::ClassRule;
pub(crate) use endpoint_rotation::EndpointRotation;
pub use epoch::Epoch;
pub use event::{LifecycleEvent, LifecycleKind, State};
pub use exit::{DialError, DialPhase, ExitReason, GreetingFailure};
pub(crate) use exit_rules::SharedClassify;
pub use exit_rules::{Classify, ExitRules};
pub use filter::{FieldValue, Filter};
pub use floor::Floor;
pub use id::ConnectionId;
pub use intensity::{Intensity, IntensityPer, IntensityScope, OnExceeded};
pub(crate) use intensity::{Ledger, Restraint};
pub use liveness::{Beat, Heartbeat, Liveness, MaxAge, Remedy, Verdict, Watchdog};
pub(crate) use liveness::{Order, Pulse, Vigil};
pub use local_failure::LocalFailure;
#[cfg(fuzzing)]
pub use machine::run_machine;
pub(crate) use machine::{Action, Busy, Input, Machine, Supervised, Supervision, Urgency};
pub use outbox::OutboxLimits;
pub(crate) use outbox::{
    Divide, Expiry, Fate, Flight, Loss, Outbox, Outlook, Overflow, Room, Scope, Slot, Terms,
    Unplaced,
};
pub use provider_failure::{ProviderError, ProviderFailure};
pub use proxy_failure::{ProxyFailure, TargetFailure};
pub(crate) use refused::Refusals;
pub use refused::RefusedCredential;
pub(crate) use requests::Requests;
pub use restart::RestartPolicy;
pub(crate) use rotation::Side;
pub use rotation::{RotateError, Rotation};
pub(crate) use send_limit::Throttle;
pub use send_limit::{InvalidSendLimit, SendLimit};
pub use stable::StableAfter;
pub use subscription_id::SubscriptionId;
pub use tls_failure::TlsFailure;
