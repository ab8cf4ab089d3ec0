//! What became of each message, as its sender was told and as the server saw it.

use serde::{Deserialize, Serialize};

/// What a sender was told of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// It was never accepted.
    Refused,
    /// It was accepted and not sent: safe to send again.
    NotSent,
    /// It may have been received or not.
    Unknown,
    /// It was handed to the socket.
    Sent,
}

/// Messages by what was told of them and how often they were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Accounts {
    pub(crate) offered: u32,
    pub(crate) refused: u32,
    pub(crate) not_sent: u32,
    pub(crate) unknown: u32,
    /// Those of `unknown` that were received.
    pub(crate) unknown_received: u32,
    pub(crate) sent: u32,
    /// Those of `sent` that were not received: the server was killed before it had read them.
    pub(crate) sent_lost: u32,
    /// Nothing was ever told of them, and they were not received.
    pub(crate) silently_lost: u32,
    /// Received more than once.
    pub(crate) duplicated: u32,
    /// Received although the sender was told that they were not sent. It is to be none.
    pub(crate) contradicted: u32,
}

impl Accounts {
    /// `received` says how often each message was.
    pub(crate) fn of(told: &[Told], received: &[u8]) -> Self {
        let mut accounts = Self::default();
        for (told, received) in told.iter().zip(received) {
            let count = |yes: bool| u32::from(yes);
            let (came, never) = (count(*received > 0), count(*received == 0));
            accounts.offered += 1;
            accounts.duplicated += count(*received > 1);
            match told {
                Told::Nothing => accounts.silently_lost += never,
                Told::Refused => {
                    accounts.refused += 1;
                    accounts.contradicted += came;
                }
                Told::NotSent => {
                    accounts.not_sent += 1;
                    accounts.contradicted += came;
                }
                Told::Unknown => {
                    accounts.unknown += 1;
                    accounts.unknown_received += came;
                }
                Told::Sent => {
                    accounts.sent += 1;
                    accounts.sent_lost += never;
                }
            }
        }
        accounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_in_one_place() {
        let told = [
            (Told::Sent, 1),
            (Told::Sent, 0),
            (Told::Sent, 2),
            (Told::Refused, 0),
            (Told::NotSent, 0),
            (Told::NotSent, 1),
            (Told::Unknown, 1),
            (Told::Unknown, 0),
            (Told::Nothing, 0),
        ];
        let (told, received): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        let expected = Accounts {
            offered: 9,
            refused: 1,
            not_sent: 2,
            unknown: 2,
            unknown_received: 1,
            sent: 3,
            sent_lost: 1,
            silently_lost: 1,
            duplicated: 1,
            contradicted: 1,
        };
        assert_eq!(Accounts::of(&told, &received), expected);
    }
}
