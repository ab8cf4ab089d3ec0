use std::{collections::VecDeque, ops::Range, time::Instant};

use super::{Divide, Fate, Loss, RETAINED, Scope, Slot, Terms, make_room, run::Run};
use crate::protocol::OneOrMany;

/// What a session has encoded, with its place in the stream of bytes, until its fate is known.
///
/// Three positions in the stream divide it: what lies before `handed_to` the socket has taken; what
/// lies between that and `encoded_to` is the backlog, and can be taken out of it again as long as
/// the socket has no part of it; a pong says that the peer has read all that lies before its ping.
#[derive(Debug)]
pub(crate) struct Flight<P, R> {
    encoded_to: u64,
    handed_to: u64,
    /// Messages that the socket has not taken wholly.
    encoded: VecDeque<Encoded<P, R>>,
    /// What only some sessions need. Boxed because most do not.
    rare: Option<Box<Rare<R>>>,
}

/// A message, or a run of them.
#[derive(Debug)]
struct Encoded<P, R> {
    start: u64,
    end: u64,
    /// Of a run, for those that are not done.
    reply: Option<R>,
    special: Option<Box<Special<P>>>,
    /// Absent where it is one message.
    run: Option<Box<Run>>,
}

/// A message with terms of its own.
#[derive(Debug)]
struct Special<P> {
    seq: u64,
    len: usize,
    terms: Box<Terms>,
    /// Of a message that may be written in a later session.
    payload: Option<P>,
}

#[derive(Debug)]
struct Rare<R> {
    /// Messages that the socket took, and that wait for a pong.
    unconfirmed: VecDeque<Unconfirmed<R>>,
    /// Pings that were encoded and not answered.
    pings: VecDeque<Ping>,
    /// No message expires before this.
    earliest: Option<Instant>,
    /// Messages that the socket has not taken wholly, and that are to be confirmed.
    to_confirm: usize,
}

#[derive(Debug)]
struct Unconfirmed<R> {
    end: u64,
    reply: Option<R>,
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Ping {
    token: u64,
    end: u64,
}

impl<P, R> Default for Flight<P, R> {
    fn default() -> Self {
        Self { encoded_to: 0, handed_to: 0, encoded: VecDeque::new(), rare: None }
    }
}

impl<R> Default for Rare<R> {
    fn default() -> Self {
        Self { unconfirmed: VecDeque::new(), pings: VecDeque::new(), earliest: None, to_confirm: 0 }
    }
}

impl<P, R> Flight<P, R> {
    /// Makes place for so many slots more, to save growing step by step.
    pub(crate) fn reserve(&mut self, slots: usize) {
        make_room(&mut self.encoded, slots);
    }

    fn push(&mut self, encoded: Encoded<P, R>) {
        make_room(&mut self.encoded, 1);
        self.encoded.push_back(encoded);
    }

    /// A message was encoded into the next `size` bytes of the stream.
    pub(crate) fn encoded(&mut self, size: usize, slot: Slot<P, R>) {
        let (start, end) = self.advance(size);
        let Slot { seq, len, payload, reply, terms, .. } = slot;
        if reply.is_none() && terms.is_none() {
            return;
        }
        let special = terms.map(|terms| {
            if terms.confirmed || terms.deadline().is_some() {
                let rare = self.rare.get_or_insert_default();
                rare.to_confirm += usize::from(terms.confirmed);
                rare.note_deadline(terms.deadline());
            }
            let outlives_session = matches!(terms.scope, Scope::Durable);
            let payload = outlives_session.then_some(payload);
            Box::new(Special { seq, len, terms, payload })
        });
        self.push(Encoded { start, end, reply, special, run: None });
    }

    /// Messages of a run were encoded one behind the other, and end so many bytes from here.
    pub(crate) fn encoded_run(&mut self, ends: OneOrMany<usize>, reply: Option<R>) {
        let (start, end) = self.advance(ends.last().copied().unwrap_or_default());
        if reply.is_some() {
            let run = match ends {
                OneOrMany::Many(ends) if ends.len() > 1 => Some(Box::new(Run::new(ends))),
                _ => None,
            };
            self.push(Encoded { start, end, reply, special: None, run });
        }
    }

    /// A ping was encoded into the next `size` bytes. Of many that nobody answers, only the latest
    /// are kept: the answer to one answers all before it.
    pub(crate) fn encoded_ping(&mut self, size: usize, token: u64) {
        let (_, end) = self.advance(size);
        let pings = &mut self.rare.get_or_insert_default().pings;
        if pings.len() == MAX_PINGS {
            pings.pop_front();
        }
        pings.push_back(Ping { token, end });
    }

    /// A frame of another kind was encoded into the next `size` bytes.
    pub(crate) const fn encoded_other(&mut self, size: usize) {
        self.advance(size);
    }

    const fn advance(&mut self, size: usize) -> (u64, u64) {
        let start = self.encoded_to;
        self.encoded_to += size as u64;
        (start, self.encoded_to)
    }

    /// Whether a ping is due that confirms what was encoded. There is one at a time: what is written
    /// while it is under way waits for the next, so that a busy connection sends one a round trip.
    pub(crate) fn wants_barrier(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| {
            rare.pings.is_empty() && (rare.to_confirm > 0 || !rare.unconfirmed.is_empty())
        })
    }

    /// Messages that are written and wait to be confirmed.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.unconfirmed.len())
    }

    /// The socket took the next `len` bytes.
    pub(crate) fn handed_over(&mut self, len: usize, settle: &mut impl FnMut(R, Fate))
    where
        R: Divide,
    {
        self.handed_to += len as u64;
        let handed_to = self.handed_to;
        while self.encoded.front().is_some_and(|message| message.end <= handed_to)
            && let Some(Encoded { end, reply, special, .. }) = self.encoded.pop_front()
        {
            match (special, &mut self.rare) {
                (Some(special), Some(rare)) if special.terms.confirmed => {
                    rare.to_confirm -= 1;
                    let deadline = special.terms.deadline();
                    rare.unconfirmed.push_back(Unconfirmed { end, reply, deadline });
                }
                _ => {
                    if let Some(reply) = reply {
                        settle(reply, Fate::Written);
                    }
                }
            }
        }
        if let Some(Encoded { start, reply: Some(reply), run: Some(run), .. }) =
            self.encoded.front_mut()
            && let done = run.reach(handed_to.saturating_sub(*start))
            && done > 0
            && let Some(front) = reply.front(done)
        {
            settle(front, Fate::Written);
        }
        if self.encoded.is_empty() && self.encoded.capacity() > RETAINED {
            self.encoded = VecDeque::new();
        }
        self.release();
    }

    /// A pong came with this token: the peer has read what was written before the ping. It also
    /// answers all pings before that one (RFC 6455 §5.5.3). Whether it answers one of them.
    pub(crate) fn pong(&mut self, token: u64, settle: &mut impl FnMut(R, Fate)) -> bool {
        let handed_to = self.handed_to;
        let Some(rare) = &mut self.rare else { return false };
        let is_it = |ping: &Ping| ping.token == token && ping.end <= handed_to;
        let Some(at) = rare.pings.iter().position(is_it) else { return false };
        let end = rare.pings.drain(..=at).next_back().map_or(0, |ping| ping.end);
        while rare.unconfirmed.front().is_some_and(|message| message.end <= end)
            && let Some(message) = rare.unconfirmed.pop_front()
        {
            if let Some(reply) = message.reply {
                settle(reply, Fate::Confirmed);
            }
        }
        self.release();
        true
    }

    /// Tells every message whose deadline has come, and says which bytes of the backlog are not to
    /// be written, as ranges from its beginning, the last first.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        settle: &mut impl FnMut(R, Fate),
    ) -> Vec<Range<usize>> {
        let Some(rare) = &mut self.rare else { return vec![] };
        if rare.earliest.is_none_or(|due| now < due) {
            return vec![];
        }
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|due| due <= now);
        rare.unconfirmed.retain_mut(|message| {
            let over = is_over(message.deadline);
            if over && let Some(reply) = message.reply.take() {
                settle(reply, Fate::Unknown(Loss::Deadline));
            }
            !over
        });
        let mut cuts = Vec::new();
        let mut at = 0;
        while let Some(message) = self.encoded.get_mut(at) {
            if !is_over(message.deadline()) {
                at += 1;
            } else if message.start < self.handed_to {
                // The socket has a part of it, so the rest must follow.
                if let Some(reply) = message.reply.take() {
                    settle(reply, Fate::Unknown(Loss::Deadline));
                }
                let special = message.special.take();
                if let Some(rare) = &mut self.rare {
                    rare.to_confirm -= usize::from(special.is_some_and(|it| it.terms.confirmed));
                }
                at += 1;
            } else if let Some((cut, reply)) = self.cut(at) {
                cuts.push(cut);
                if let Some(reply) = reply {
                    settle(reply, Fate::NotWritten(Loss::Deadline));
                }
            }
        }
        if let Some(rare) = &mut self.rare {
            let unconfirmed = rare.unconfirmed.iter().filter_map(|message| message.deadline);
            let encoded = self.encoded.iter().filter_map(Encoded::deadline);
            rare.earliest = unconfirmed.chain(encoded).min();
        }
        self.release();
        // Each was measured after those before it were taken out: from the last on they are as they
        // are in the backlog.
        let mut shift = 0;
        for cut in &mut cuts {
            let len = cut.len();
            *cut = cut.start + shift..cut.end + shift;
            shift += len;
        }
        cuts.reverse();
        cuts
    }

    /// A newer message has this key. Returns the bytes of the backlog that are not to be written.
    pub(crate) fn replace(
        &mut self,
        key: &str,
        settle: &mut impl FnMut(R, Fate),
    ) -> Option<Range<usize>> {
        let handed_to = self.handed_to;
        let has_key = |message: &Encoded<P, R>| {
            message.start >= handed_to
                && message.special.as_ref().is_some_and(|it| it.terms.key.as_deref() == Some(key))
        };
        let at = self.encoded.iter().position(has_key)?;
        let (cut, reply) = self.cut(at)?;
        if let Some(reply) = reply {
            settle(reply, Fate::NotWritten(Loss::Newer));
        }
        self.release();
        Some(cut)
    }

    /// When [`expire`](Self::expire) is wanted next, at the earliest.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.rare.as_ref()?.earliest
    }

    /// The session has ended: every message is told, in order. Returns those that no byte was
    /// written of and that a later session may write.
    pub(crate) fn end(&mut self, settle: &mut impl FnMut(R, Fate)) -> Vec<Slot<P, R>>
    where
        R: Divide,
    {
        let Self { handed_to, encoded, rare, .. } = std::mem::take(self);
        let unconfirmed = rare.map(|rare| rare.unconfirmed).unwrap_or_default();
        for reply in unconfirmed.into_iter().filter_map(|message| message.reply) {
            settle(reply, Fate::Unknown(Loss::Session));
        }
        let mut unbegun = Vec::new();
        for Encoded { start, mut reply, special, run, .. } in encoded {
            let mut is_begun = start < handed_to;
            if let Some(run) = run {
                is_begun = run.is_begun(handed_to.saturating_sub(start));
                // The socket can have a part of the first that is left, and of no other.
                if is_begun
                    && run.left() > 1
                    && let Some(first) = reply.as_mut().and_then(|reply| reply.front(1))
                {
                    settle(first, Fate::Unknown(Loss::Session));
                    is_begun = false;
                }
            }
            let fate = if is_begun {
                Fate::Unknown(Loss::Session)
            } else if let Some(special) = special
                && let Special { seq, len, terms, payload: Some(payload) } = *special
            {
                unbegun.push(Slot { seq, count: 1, len, payload, reply, terms: Some(terms) });
                continue;
            } else {
                Fate::NotWritten(Loss::Session)
            };
            if let Some(reply) = reply {
                settle(reply, fate);
            }
        }
        unbegun
    }

    /// Takes a message out of the stream, of which the socket has nothing yet.
    fn cut(&mut self, at: usize) -> Option<(Range<usize>, Option<R>)> {
        let Encoded { start, end, reply, special, .. } = self.encoded.remove(at)?;
        let size = end - start;
        self.encoded_to -= size;
        for message in self.encoded.iter_mut().skip(at) {
            message.start -= size;
            message.end -= size;
        }
        if let Some(rare) = &mut self.rare {
            for ping in rare.pings.iter_mut().filter(|ping| ping.end >= end) {
                ping.end -= size;
            }
            rare.to_confirm -= usize::from(special.is_some_and(|special| special.terms.confirmed));
        }
        // The backlog is in memory.
        let place = |position: u64| usize::try_from(position - self.handed_to).unwrap_or_default();
        Some((place(start)..place(end), reply))
    }

    fn release(&mut self) {
        if let Some(rare) = &mut self.rare
            && rare.unconfirmed.is_empty()
            && self.encoded.is_empty()
        {
            rare.earliest = None;
        }
        if let Some(rare) = &mut self.rare
            && rare.unconfirmed.is_empty()
            && rare.pings.is_empty()
            && rare.to_confirm == 0
            && rare.earliest.is_none()
        {
            self.rare = None;
        }
    }
}

impl<P, R> Encoded<P, R> {
    fn deadline(&self) -> Option<Instant> {
        self.special.as_ref()?.terms.deadline()
    }
}

impl<R> Rare<R> {
    fn note_deadline(&mut self, deadline: Option<Instant>) {
        if let Some(due) = deadline {
            self.earliest = Some(self.earliest.map_or(due, |earliest| earliest.min(due)));
        }
    }
}

/// Pings that may wait for their pongs.
const MAX_PINGS: usize = 16;

#[cfg(test)]
mod tests;
