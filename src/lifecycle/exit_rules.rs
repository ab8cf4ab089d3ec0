use std::{fmt, ops::RangeInclusive, sync::Arc};

use super::{ExitClass, ExitReason};
use crate::protocol::HandshakeError;

/// Decides what an end means for a connection: whether another attempt may help, and when.
///
/// [`ExitRules`] is one, and what most need. A `Retry-After` or a close 1012 of the server is a floor
/// of the delay whatever is decided here.
pub trait Classify: Send + Sync + 'static {
    /// The class of `exit`; `standard` is what the default table says ([`ExitClass::of`]).
    ///
    /// A panic in here is logged, and `standard` is used.
    fn classify(&self, exit: &ExitReason, standard: ExitClass) -> ExitClass;

    /// The rule that decides about `exit`, for people, where one does
    /// ([`Explanation`](crate::Explanation)). It holds no secret.
    fn rule(&self, exit: &ExitReason) -> Option<String> {
        let _ = exit;
        None
    }
}

/// Exceptions to the default table, by close code and HTTP status. A later rule wins over an earlier
/// one.
///
/// ```
/// use wsvisor::{ConnectionSpec, ExitClass, ExitRules};
///
/// // A server that closes with 1008 when a token has expired, and with 4000 to 4099 for good.
/// let rules = ExitRules::new()
///     .close(1008..=1008, ExitClass::RETRY)
///     .close(4000..=4099, ExitClass::Fatal);
/// let spec = ConnectionSpec::json("ticker", "wss://stream.example.com/v1").classify(rules);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitRules(Vec<ExitRule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct ExitRule {
    of: Cause,
    range: RangeInclusive<u16>,
    class: ExitClass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A close code of the peer; 1005 where its close frame had none.
    Close,
    /// The HTTP status of a refused handshake.
    Status,
}

impl ExitRules {
    /// The default table, without exceptions.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What the peer's close with one of these codes means.
    #[must_use]
    pub fn close(self, codes: RangeInclusive<u16>, class: ExitClass) -> Self {
        self.with(Cause::Close, codes, class)
    }

    /// What a handshake refused with one of these HTTP statuses means.
    #[must_use]
    pub fn status(self, statuses: RangeInclusive<u16>, class: ExitClass) -> Self {
        self.with(Cause::Status, statuses, class)
    }

    /// The rule for an end: the last that fits.
    fn find(&self, exit: &ExitReason) -> Option<&ExitRule> {
        let (of, number) = match exit {
            ExitReason::ClosedByPeer(_) => (Cause::Close, exit.close_code().get()),
            ExitReason::Redirect { status: code, .. }
            | ExitReason::Handshake(HandshakeError::Status { code, .. })
            | ExitReason::Unauthorized { refusal: HandshakeError::Status { code, .. }, .. } => {
                (Cause::Status, *code)
            }
            _ => return None,
        };
        self.0.iter().rev().find(|rule| rule.of == of && rule.range.contains(&number))
    }

    fn with(mut self, of: Cause, range: RangeInclusive<u16>, class: ExitClass) -> Self {
        self.0.push(ExitRule { of, range, class });
        self
    }

    fn fatal_closes(self, codes: &[u16]) -> Self {
        codes.iter().fold(self, |rules, code| rules.close(*code..=*code, ExitClass::Fatal))
    }

    /// Discord's gateway: 4004 (authentication), 4010 to 4014 (sharding, version, intents) are for
    /// good, as its documentation and twilight's `can_reconnect` say.
    #[must_use]
    pub fn discord() -> Self {
        Self::new().fatal_closes(&[4004]).close(4010..=4014, ExitClass::Fatal)
    }

    /// The protocol `graphql-transport-ws`, as graphql-ws' `shouldRetryConnectOrThrow` decides: codes
    /// that tell of a wrong client are for good, and so is 1011.
    #[must_use]
    pub fn graphql_ws() -> Self {
        Self::new()
            .close(1011..=1011, ExitClass::Fatal)
            .fatal_closes(&[4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500])
    }

    /// Centrifugo: 3500 to 3999 and 4500 to 4999 are for good, as centrifuge-go decides.
    #[must_use]
    pub fn centrifugo() -> Self {
        Self::new().close(3500..=3999, ExitClass::Fatal).close(4500..=4999, ExitClass::Fatal)
    }

    /// Slack's Socket Mode: it ends sessions as it likes, and a client gets a new one. It tells why in
    /// a message of the type `disconnect` before: answer `refresh_requested` and `warning` with
    /// [`Reconnect`](crate::Reconnect). Its URLs are tickets, so a refused one is asked for anew.
    #[must_use]
    pub fn slack() -> Self {
        Self::new().close(1000..=1000, ExitClass::RETRY).status(408..=408, ExitClass::RETRY)
    }
}

impl Classify for ExitRules {
    fn classify(&self, exit: &ExitReason, standard: ExitClass) -> ExitClass {
        self.find(exit).map_or(standard, |rule| rule.class)
    }

    fn rule(&self, exit: &ExitReason) -> Option<String> {
        self.find(exit).map(ToString::to_string)
    }
}

impl fmt::Display for ExitRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Cause::Close => "close",
            Cause::Status => "status",
        };
        let (from, to) = (self.range.start(), self.range.end());
        write!(f, "{of} {from}")?;
        if from != to {
            write!(f, "..={to}")?;
        }
        Ok(())
    }
}

/// A shared classifier, as a connection's supervision holds it.
#[derive(Clone)]
pub(crate) struct SharedClassify(Arc<dyn Classify>);

impl SharedClassify {
    pub(crate) fn new(classify: impl Classify) -> Self {
        Self(Arc::new(classify))
    }

    /// The rule of the user's that decides, where one does.
    pub(crate) fn rule(&self, exit: &ExitReason) -> Option<String> {
        let asked = std::panic::AssertUnwindSafe(|| self.0.rule(exit));
        std::panic::catch_unwind(asked).unwrap_or_default()
    }

    /// Asks the user's code, which may panic.
    pub(crate) fn ask(&self, exit: &ExitReason, standard: ExitClass) -> ExitClass {
        let asked = std::panic::AssertUnwindSafe(|| self.0.classify(exit, standard));
        std::panic::catch_unwind(asked).unwrap_or_else(|_| {
            tracing::error!(%exit, "Classify panicked; the default table decides");
            standard
        })
    }
}

impl fmt::Debug for SharedClassify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classify(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::protocol::CloseFrame;

    fn class(rules: &ExitRules, exit: &ExitReason) -> ExitClass {
        rules.classify(exit, ExitClass::of(exit, SystemTime::UNIX_EPOCH))
    }

    fn closed(code: u16) -> ExitReason {
        ExitReason::ClosedByPeer(Some(CloseFrame::bare(code.into())))
    }

    /// The tables of the peers' own sources.
    #[test]
    fn presets() {
        #[rustfmt::skip]
        let table: &[(ExitRules, &[u16], &[u16])] = &[
            (ExitRules::discord(), &[4004, 4010, 4011, 4012, 4013, 4014],
                &[1001, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009, 4015]),
            (ExitRules::graphql_ws(), &[1002, 1011, 4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500],
                &[1001, 1012, 1013, 4403, 4408, 4499, 4504]),
            (ExitRules::centrifugo(), &[3500, 3999, 4500, 4999], &[3000, 3499, 4000, 4499]),
            (ExitRules::slack(), &[1008], &[1000, 1001, 1006, 4000]),
        ];
        for (rules, fatal, retried) in table {
            for code in *fatal {
                assert_eq!(class(rules, &closed(*code)), ExitClass::Fatal, "{rules:?} {code}");
            }
            for code in *retried {
                let class = class(rules, &closed(*code));
                let comes_back =
                    matches!(class, ExitClass::Retry { .. } | ExitClass::RetrySlow { .. });
                assert!(comes_back, "{rules:?} {code}: {class:?}");
            }
        }
    }

    #[test]
    fn the_last_rule_wins_and_others_are_left_to_the_default() {
        let rules = ExitRules::new()
            .close(4000..=4999, ExitClass::Fatal)
            .close(4100..=4100, ExitClass::RETRY)
            .status(404..=404, ExitClass::RETRY_SLOW);
        assert_eq!(class(&rules, &closed(4099)), ExitClass::Fatal);
        assert_eq!(class(&rules, &closed(4100)), ExitClass::RETRY);
        assert_eq!(class(&rules, &closed(1000)), ExitClass::Normal);
        let status = |code| {
            ExitReason::Handshake(HandshakeError::Status {
                code,
                retry_after: None,
                has_location: false,
                has_challenge: false,
            })
        };
        assert_eq!(class(&rules, &status(404)), ExitClass::RETRY_SLOW);
        assert_eq!(class(&rules, &status(403)), ExitClass::Fatal);
        assert_eq!(class(&rules, &ExitReason::CloseUnanswered), ExitClass::Shutdown);
        for (exit, rule) in [
            (closed(4099), Some("close 4000..=4999")),
            (closed(4100), Some("close 4100")),
            (status(404), Some("status 404")),
            (closed(1000), None),
            (ExitReason::CloseUnanswered, None),
        ] {
            assert_eq!(rules.rule(&exit).as_deref(), rule, "{exit}");
        }
    }

    #[test]
    fn who_names_no_rule_has_none() {
        struct Nameless;
        impl Classify for Nameless {
            fn classify(&self, _: &ExitReason, _: ExitClass) -> ExitClass {
                ExitClass::Fatal
            }
        }
        let shared = SharedClassify::new(Nameless);
        assert_eq!(shared.rule(&closed(1000)), None);
        assert_eq!(shared.ask(&closed(1000), ExitClass::Normal), ExitClass::Fatal);
        assert_eq!(format!("{shared:?}"), "Classify(..)");
    }

    #[test]
    fn a_panic_leaves_the_decision_to_the_default() {
        struct Panics;
        impl Classify for Panics {
            fn classify(&self, _: &ExitReason, _: ExitClass) -> ExitClass {
                panic!("a bug in user code");
            }

            fn rule(&self, exit: &ExitReason) -> Option<String> {
                assert_ne!(exit.close_code().get(), 1001, "a bug in user code");
                Some("mine".to_owned())
            }
        }
        let shared = SharedClassify::new(Panics);
        assert_eq!(shared.ask(&closed(1001), ExitClass::RETRY), ExitClass::RETRY);
        assert_eq!(shared.rule(&closed(1001)), None);
        assert_eq!(shared.rule(&closed(4000)).as_deref(), Some("mine"));
    }
}
