#![doc = include_str!("../README.md")]

mod actor;
mod clock;
mod entropy;
mod error;
mod event;
mod lifecycle;
mod message;
pub mod policy;
pub mod protocol;
mod spec;
mod supervision;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;

/// The doors of `fuzz/` to what is not public.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::lifecycle::run_machine;
}

pub use actor::{Connection, ConnectionBuilder, ConnectionContext, Supervisor, SupervisorBuilder};
pub use error::{
    ChildError, ConnectError, Delivery, InvalidSpec, Refusal, SendError, StartError, Unconfirmed,
    Unwritten, UpdateError,
};
pub use event::{History, Lifecycle, Overflow, Received, ReceivedBatch, Subscription};
pub use lifecycle::{
    AddressFailure, AddressFailures, AddressFate, Backoff, Beat, Budgets, ClassRule, Classify,
    ConnectionId, DialError, DialPhase, Epoch, ExitClass, ExitReason, ExitRules, FieldValue,
    Filter, Floor, GreetingFailure, Heartbeat, Intensity, IntensityPer, IntensityScope,
    InvalidBackoff, InvalidSendLimit, Jitter, LifecycleEvent, LifecycleKind, Liveness,
    LocalFailure, MaxAge, OnExceeded, OutboxLimits, ProviderError, ProviderFailure, ProxyFailure,
    RefusedCredential, Remedy, ResolveError, RestartPolicy, RetryBudget, RotateError, Rotation,
    SendLimit, StableAfter, State, SubscriptionId, TargetFailure, TlsFailure, Verdict, Watchdog,
};
pub use message::{
    Answer, AskReady, BatchError, Connect, Connecting, ConnectionInfo, CountConnections, Counts,
    DeleteConnection, DeleteSupervisor, Disconnect, Explain, ExplainConnection, ExplainSupervisor,
    Explanation, GetSender, GetStatus, JsonRpcError, MarkReady, Outcomes, Outgoing, PolicySet,
    Reconnect, Request, RequestError, RestartConnection, RestartSupervisor, Rotate, Rotating,
    SendBatch, SendBinary, SendJson, SendString, Sender, Sending, SetHeartbeat, SetPolicy,
    SetPolicyError, SetWatchdog, Shutdown, StartConnection, StartSupervisor, Status, Subscribe,
    SupervisorExplanation, SupervisorInfo, SupervisorState, TerminateConnection,
    TerminateSupervisor, Unsubscribe, UpdateSpec, WhichConnections, WhichSupervisors,
};
pub use policy::{
    AccessPolicy, AddressBlocked, Allowed, CanonicalUrl, ConnectionFailed, Denied, InvalidUrl,
    PolicyDenied, PolicyError, PolicyFileError, RedirectRefused,
};
pub use protocol::{
    CloseCode, CloseFrame, HandshakeError, InvalidClose, InvalidHeader, Limits, OwnedPayload,
    Payload, ProtocolError, RetryAfter, Subprotocol,
};
#[cfg(feature = "deflate")]
pub use protocol::{InvalidWindowBits, PerMessageDeflate, WindowBits};
pub use secrecy::SecretString;
pub use spec::{
    AttemptCause, ChildSpec, ConnectionSpec, Correlator, CredentialProvider, Credentials,
    EndpointProvider, Endpoints, Greeting, InvalidProxy, JsonRpc, Kind, NewSession, PlatformAuth,
    ProviderRequest, Providing, Proxies, Proxy, Readiness, Replies, Scope, Settings,
    SupervisorSpec, Timeouts, TokenSource,
};
pub use supervision::{
    AutoShutdown, CascadeOn, DialGate, Dynamic, HostBreaker, InvalidGate, Place, Strategy,
    WaitReason,
};
pub use transport::{
    BoxedStream, ByteStream, Dialler, Dialling, InvalidTls, KeyPin, Resolver, Resolving,
    SystemResolver, Target, Tcp, Tls, TlsBuilder,
};
