use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;

#[cfg(feature = "deflate")]
use crate::protocol::DeflateAgreement;
use crate::{
    lifecycle::{ConnectionId, ExitReason, Refusals},
    message::CheckedConnect,
    policy::{AccessPolicy, Allowed},
    protocol::Subprotocol,
    spec::{AttemptCause, CheckedEndpoints, Headers, ProviderRequest, Settings},
    supervision::Place,
    transport::{BoxedStream, gate::Gate, standing::Standing},
};

/// All that the attempts of a connection need to know, and what they remember. What was asked for
/// was checked before: the headers and subprotocols can be written.
pub(crate) struct Route {
    pub(crate) id: ConnectionId,
    pub(crate) asked: CheckedConnect,
    pub(crate) settings: Arc<Settings>,
    /// The supervisor's; absent for a connection that is used alone.
    pub(crate) gate: Option<Gate>,
    pub(crate) memory: Memory,
    pub(crate) standing: Rc<Standing>,
}

/// What one attempt leaves to the next.
#[derive(Default)]
pub(crate) struct Memory {
    /// There was an attempt.
    pub(super) attempted: Cell<bool>,
    pub(super) refusals: RefCell<Refusals<Headers>>,
}

/// What is different at each attempt.
#[derive(Clone, Debug)]
pub(crate) struct Occasion {
    /// Which of the listed endpoints.
    pub(crate) endpoint: usize,
    /// Why the last attempt or session ended.
    pub(crate) last_failure: Option<ExitReason>,
}

/// A stream on which the opening handshake is done.
pub(crate) struct Opened {
    pub(in crate::transport) io: BoxedStream,
    pub(in crate::transport) rest: Bytes,
    pub(crate) subprotocol: Option<Subprotocol>,
    #[cfg(feature = "deflate")]
    pub(in crate::transport) deflate: Option<DeflateAgreement>,
}

impl Route {
    /// The same for attempts beside the session that is up, with what was learnt.
    pub(crate) fn of_successor(&self, policy: AccessPolicy) -> Self {
        let successor = Self {
            id: self.id.clone(),
            asked: self.asked.clone(),
            settings: Arc::clone(&self.settings),
            gate: self.gate.clone(),
            memory: Memory::default(),
            standing: Rc::new(Standing::under(policy)),
        };
        successor.learn_from(self);
        successor
    }

    /// Takes over what attempts on another route have left, if there were any.
    pub(crate) fn learn_from(&self, other: &Self) {
        if other.memory.attempted.take() {
            self.memory.attempted.set(true);
            self.memory.refusals.replace(other.memory.refusals.take());
        }
    }

    /// The endpoint of the latest attempt, or else of the first one, where it is known.
    pub(crate) fn endpoint(&self) -> Option<Allowed> {
        self.standing.dialled().or_else(|| match &*self.asked.endpoints {
            CheckedEndpoints::Listed(listed) => listed.first().cloned(),
            CheckedEndpoints::Provided(_) => None,
        })
    }

    /// Where the attempt that is under way stands before the gate, while that has not let it through.
    pub(crate) fn place(&self) -> Option<Place> {
        self.gate.as_ref()?.place(self.standing.ticket.get()?)
    }

    /// What a provider is told.
    pub(super) fn request(
        &self,
        occasion: &Occasion,
        allowed: Option<&Allowed>,
    ) -> ProviderRequest {
        let refused = self.memory.refusals.borrow().status();
        ProviderRequest {
            connection: self.id.clone(),
            url: allowed.map(|allowed| allowed.url().clone()),
            cause: match refused {
                Some(status) => AttemptCause::Refused { status },
                None if self.memory.attempted.get() => AttemptCause::Reconnect,
                None => AttemptCause::First,
            },
            last_failure: occasion.last_failure.clone(),
        }
    }
}
