//! What a connection was given and has not settled is bounded (I15).

use tokio::time::Instant;

use crate::fates::{Fates, Known, Message, Name, Way};

/// Bytes that may be encoded and not taken by the socket.
const ENCODED: usize = 64 * 1024;
/// The same of what was sent beside the mailbox: it goes in one piece.
const ENCODED_OF_A_SENDER: usize = 512 * 1024;

impl Fates {
    /// So many messages may wait to be written or confirmed.
    pub(crate) fn limit(&self, member: usize, messages: usize) {
        self.known().limits.insert(member, messages);
    }

    /// A socket of this connection does not take all that it is offered.
    pub(crate) fn choked(&self, member: usize) {
        self.known().choked.insert(member);
    }

    /// What was accepted had room beside what was written before and was confirmed after (I15).
    pub(crate) fn check_room(&self, known: &Known, name: Name) {
        let Some(message) = known.messages.get(&name) else { return };
        let is_unconfirmed = |other: &&Name| {
            let other = known.messages.get(other).and_then(|other| other.settled);
            other.is_none_or(|settled| settled > message.sent)
        };
        let unconfirmed = message.beside.iter().filter(is_unconfirmed).count();
        let (c, m) = name;
        let limit = known.limits.get(&c).copied().unwrap_or(usize::MAX);
        self.journal.check(
            unconfirmed < limit,
            format_args!("c{c}: {m} was accepted beside {unconfirmed} that are unconfirmed (I15)"),
        );
    }

    /// What a connection was given and has not settled is bounded (I15).
    pub(crate) fn check_bounds(&self, member: usize, messages: usize, bytes: usize) {
        let known = self.known();
        let (requests, unsettled): (Vec<_>, Vec<_>) = known
            .unsettled
            .range((member, 0)..=(member, u64::MAX))
            .filter_map(|name| known.messages.get(name))
            // Others may still be before its mailbox.
            .filter(|message| message.sent < Instant::now() && message.way != Way::Batch)
            .partition(|message| message.is_request);
        self.journal.check(
            requests.len() <= messages,
            format_args!(
                "c{member}: {} requests are in flight, and {messages} may be (I15)",
                requests.len()
            ),
        );
        let (by_sender, by_address): (Vec<&Message>, Vec<_>) =
            unsettled.into_iter().partition(|message| message.way == Way::Sender);
        let ways = [(by_address, ENCODED), (by_sender, ENCODED_OF_A_SENDER)];
        for (unsettled, in_one_piece) in ways {
            self.check_way(&known, member, &unsettled, (messages, bytes, in_one_piece));
        }
    }

    fn check_way(
        &self,
        known: &Known,
        member: usize,
        unsettled: &[&Message],
        (messages, bytes, in_one_piece): (usize, usize, usize),
    ) {
        let sessions = if known.rotating.contains(&member) { 2 } else { 1 };
        let Some(smallest) = unsettled.iter().map(|message| message.size).min() else { return };
        let largest = unsettled.iter().map(|message| message.size).max().unwrap_or(0);
        let waiting = unsettled.iter().filter(|message| message.written == 0);
        let waiting: usize = waiting.map(|message| message.size).sum();
        let may_be_encoded = sessions > 1 || known.choked.contains(&member);
        let encoded = if may_be_encoded { sessions * in_one_piece / smallest + 2 } else { 0 };
        self.journal.check(
            unsettled.len() <= messages + encoded,
            format_args!(
                "c{member}: {} messages are unsettled, of {smallest} bytes at least, and {messages} may wait (I15)",
                unsettled.len(),
            ),
        );
        self.journal.check(
            waiting <= bytes + sessions * (in_one_piece + largest),
            format_args!("c{member}: {waiting} bytes wait, and {bytes} may (I15)"),
        );
    }
}

impl Known {
    /// What this connection has written and has to confirm at this moment, where it is as much as may wait.
    pub(crate) fn beside(&self, member: usize) -> Vec<Name> {
        let Some(limit) = self.limits.get(&member) else { return vec![] };
        let unsettled = || self.unsettled.range((member, 0)..=(member, u64::MAX));
        if unsettled().take(*limit).count() < *limit {
            return vec![];
        }
        let now = Instant::now();
        let is_written = |name: &&Name| {
            self.messages.get(name).is_some_and(|message| {
                let is_meant =
                    message.terms.confirmed && !message.is_request && message.way != Way::Batch;
                is_meant && message.written_at.is_some_and(|at| at < now)
            })
        };
        unsettled().filter(is_written).copied().collect()
    }
}
