//! What must hold of a connection at any time, and once no fault has happened for long enough.

use wsvisor::{GetStatus, RestartPolicy, State, Status};

use crate::{
    fleet::{Current, Live},
    life::Life,
};

/// One read may go beyond what a subscriber may have in flight: 64 KiB of the shortest messages.
const MOST_IN_FLIGHT: u64 = 1_024 + 64 * 1_024 / 15;
/// Messages that were encoded, and that no byte was written of, go back to the outbox when their session
/// ends: 64 KiB of the shortest, and the largest.
const TAKEN_BACK: (usize, usize) = (64 * 1_024 / 28, (64 + 70) * 1_024);

impl Live {
    pub(crate) fn check_status(&self, status: &Status, life: &Life) {
        let Self { journal, number, .. } = self;
        let waits = status.next_attempt_in.is_some();
        journal.check(
            waits == (status.state == State::BackingOff),
            format_args!("c{number} has a timer while it is {} (I3)", status.state),
        );
        let (messages, bytes) = status.queued;
        let sessions = if self.member.rotates.is_some() { 2 } else { 1 };
        journal.check(
            messages <= self.member.outbox_messages + sessions * TAKEN_BACK.0
                && bytes <= self.member.outbox_bytes + sessions * TAKEN_BACK.1,
            format_args!("c{number} has {messages} messages in its outbox"),
        );
        self.fates.check_bounds(self.number, self.member.outbox_messages, self.member.outbox_bytes);
        let in_flight = status.received.saturating_sub(life.messages);
        journal.check(
            in_flight <= MOST_IN_FLIGHT,
            format_args!("c{number} has {in_flight} messages in flight"),
        );
    }

    /// Once no fault has happened for long enough, every connection is at rest or connected, and
    /// only those are at rest that were told to be or cannot be helped.
    pub(crate) async fn check_recovery(&self) {
        let Some(Current { connection, life }) = self.current.borrow().clone() else { return };
        let Some(status) = self.answered(connection.send(GetStatus).await) else { return };
        let Self { journal, number, member, .. } = self;
        self.check_status(&status, &life.borrow());
        let settled = match status.state {
            State::Connected | State::Failed => true,
            State::Disconnected => {
                self.supervisor.is_none()
                    || member.restart != RestartPolicy::Permanent
                    || self.told_to_stop.get()
            }
            State::Idle => self.supervisor.is_none(),
            _ => false,
        };
        journal.check(settled, format_args!("c{number} has not recovered: {status:?}"));
        journal.check(
            life.borrow().agrees_with(status.state),
            format_args!("c{number} is {}, and did not tell so", status.state),
        );
    }
}
