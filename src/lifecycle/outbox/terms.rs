use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::lifecycle::Epoch;

/// What was asked for a message beyond the default: in the session that is up, at once, for as long
/// as that session lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) scope: Scope,
    pub(crate) expiry: Expiry,
    /// A newer message with the same key replaces this one while it is unwritten.
    pub(crate) key: Option<Arc<str>>,
    /// It is written only once its session is ready.
    pub(crate) after_ready: bool,
    /// A ping is written after it, whose pong confirms it.
    pub(crate) confirmed: bool,
}

/// In which session a message may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The one that is up.
    #[default]
    Now,
    /// The one of this epoch, which is up or being made.
    Session(Epoch),
    /// The next one that becomes ready.
    UntilReady,
    /// Whichever can.
    Durable,
}

/// Until when a message may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expiry {
    #[default]
    Never,
    /// For so long after it was accepted.
    In(Duration),
    At(Instant),
}

/// What a connection has to offer a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// No session, and none to come unless it is told to connect.
    Nothing,
    /// No session that takes messages, and another to come: the attempt of this epoch is under way,
    /// or none is.
    Later(Option<Epoch>),
    /// The session of this epoch is up, and the one of the other, which is to take over, is open or
    /// being made.
    Open(Epoch, Option<Epoch>),
}

/// Why a message has nowhere to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// There is no session that takes it, or none to come.
    NotConnected,
    /// It is for another session than the one that is up or being made.
    OtherSession,
}

impl Terms {
    /// Nothing that waits for readiness may be written before, whatever it also asks for.
    pub(crate) fn waits_for_ready(&self) -> bool {
        self.after_ready || self.scope == Scope::UntilReady
    }

    /// Whether it may be taken out of the stream again after it was encoded.
    pub(crate) fn may_be_taken_back(&self) -> bool {
        self.deadline().is_some() || self.key.is_some()
    }

    /// Whether they mean nothing any more once the message is encoded: it is not taken back, confirmed, or
    /// written in another session.
    pub(crate) fn end_when_encoded(&self) -> bool {
        self.expiry == Expiry::Never
            && self.key.is_none()
            && !self.confirmed
            && self.scope != Scope::Durable
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.expiry {
            Expiry::At(at) => Some(at),
            Expiry::Never | Expiry::In(_) => None,
        }
    }

    /// The message is accepted now: its deadline is counted from here.
    pub(crate) fn accept(&mut self, now: Instant) {
        if let Expiry::In(wait) = self.expiry {
            // What does not expire within the clock's range does not expire.
            self.expiry = now.checked_add(wait).map_or(Expiry::Never, Expiry::At);
        }
    }
}

impl Scope {
    pub(crate) fn check(self, outlook: Outlook) -> Result<(), Unplaced> {
        match (self, outlook) {
            (Self::Now, Outlook::Open(..))
            | (Self::UntilReady | Self::Durable, Outlook::Later(_) | Outlook::Open(..)) => Ok(()),
            (Self::Session(epoch), Outlook::Open(now, _) | Outlook::Later(Some(now)))
                if epoch == now =>
            {
                Ok(())
            }
            (Self::Session(epoch), Outlook::Open(_, Some(next))) if epoch == next => Ok(()),
            (Self::Session(_), _) => Err(Unplaced::OtherSession),
            _ => Err(Unplaced::NotConnected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_live_is_counted_from_when_a_message_is_accepted() {
        let now = Instant::now();
        let soon = now + Duration::from_secs(1);
        for (expiry, deadline) in [
            (Expiry::Never, None),
            (Expiry::In(Duration::from_secs(1)), Some(soon)),
            (Expiry::At(soon), Some(soon)),
            (Expiry::In(Duration::MAX), None),
        ] {
            let mut terms = Terms { expiry, ..Terms::default() };
            terms.accept(now);
            assert_eq!(terms.deadline(), deadline, "{expiry:?}");
            terms.accept(soon);
            assert_eq!(terms.deadline(), deadline, "{expiry:?}");
            assert_eq!(terms.may_be_taken_back(), deadline.is_some(), "{expiry:?}");
        }
        let keyed = Terms { key: Some("a".into()), ..Terms::default() };
        assert!(keyed.may_be_taken_back(), "a newer one may come");
    }

    #[test]
    fn a_scope_is_checked_against_what_the_connection_has_to_offer() {
        let one = Epoch::NONE.next();
        let two = one.next();
        let nowhere = Err(Unplaced::NotConnected);
        let other = Err(Unplaced::OtherSession);
        for (outlook, now, in_one, until_ready, durable) in [
            (Outlook::Nothing, nowhere, other, nowhere, nowhere),
            (Outlook::Later(None), nowhere, other, Ok(()), Ok(())),
            (Outlook::Later(Some(one)), nowhere, Ok(()), Ok(()), Ok(())),
            (Outlook::Later(Some(two)), nowhere, other, Ok(()), Ok(())),
            (Outlook::Open(one, None), Ok(()), Ok(()), Ok(()), Ok(())),
            (Outlook::Open(two, None), Ok(()), other, Ok(()), Ok(())),
            (Outlook::Open(two, Some(one)), Ok(()), Ok(()), Ok(()), Ok(())),
            (Outlook::Open(two, Some(two.next())), Ok(()), other, Ok(()), Ok(())),
        ] {
            assert_eq!(Scope::Now.check(outlook), now, "{outlook:?}");
            assert_eq!(Scope::Session(one).check(outlook), in_one, "{outlook:?}");
            assert_eq!(Scope::UntilReady.check(outlook), until_ready, "{outlook:?}");
            assert_eq!(Scope::Durable.check(outlook), durable, "{outlook:?}");
        }
    }

    #[test]
    fn what_may_be_confirmed_taken_back_or_written_later_means_something_once_it_is_encoded() {
        let plain = Terms::default;
        let in_one = Scope::Session(Epoch::NONE.next());
        for (terms, ends) in [
            (plain(), true),
            (Terms { scope: in_one, ..plain() }, true),
            (Terms { scope: Scope::UntilReady, after_ready: true, ..plain() }, true),
            (Terms { scope: Scope::Durable, ..plain() }, false),
            (Terms { expiry: Expiry::In(Duration::ZERO), ..plain() }, false),
            (Terms { expiry: Expiry::At(Instant::now()), ..plain() }, false),
            (Terms { key: Some("a".into()), ..plain() }, false),
            (Terms { confirmed: true, ..plain() }, false),
        ] {
            assert_eq!(terms.end_when_encoded(), ends, "{terms:?}");
        }
    }
}
