//! The obvious model of the outbox and of the flight of a session: one list of all messages, and one list
//! of what is in the stream, searched from the beginning for every answer.

use std::time::Instant;

use super::{Fate, Loss, OutboxLimits, Scope, Terms};

/// A message's whole story.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) terms: Terms,
    pub(super) len: usize,
    pub(super) asked: bool,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Waiting,
    InStream,
    Over,
}

/// What one frame of the stream is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Frame {
    Message(usize),
    Ping(u64),
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) messages: Vec<Told>,
    /// Every frame of the session, with its size.
    pub(super) stream: Vec<(Frame, usize)>,
    pub(super) handed: usize,
    /// The last ping that was answered, and all before it.
    answered: Vec<u64>,
    pub(super) fates: Vec<(usize, Fate)>,
}

impl Model {
    fn start_of(&self, frame: Frame) -> usize {
        let before = self.stream.iter().take_while(|(other, _)| *other != frame);
        before.map(|(_, size)| size).sum()
    }

    fn end_of(&self, frame: Frame) -> usize {
        let size =
            self.stream.iter().find(|(other, _)| *other == frame).map_or(0, |(_, size)| *size);
        self.start_of(frame) + size
    }

    fn is_begun(&self, id: usize) -> bool {
        self.messages[id].place == Place::InStream
            && self.start_of(Frame::Message(id)) < self.handed
    }

    fn is_handed(&self, id: usize) -> bool {
        self.messages[id].place == Place::InStream && self.end_of(Frame::Message(id)) <= self.handed
    }

    pub(super) fn live(&self) -> Vec<usize> {
        // What is in the stream was accepted before what waits, unless that waited for readiness.
        let mut ids: Vec<_> =
            (0..self.messages.len()).filter(|id| self.messages[*id].place != Place::Over).collect();
        ids.sort_by_key(|id| match self.messages[*id].place {
            Place::InStream => (0, !self.is_handed(*id), self.start_of(Frame::Message(*id))),
            _ => (1, true, *id),
        });
        ids
    }

    pub(super) fn settle(&mut self, id: usize, fate: Fate) {
        if matches!(fate, Fate::NotWritten(_)) {
            self.stream.retain(|(frame, _)| *frame != Frame::Message(id));
        }
        self.messages[id].place = Place::Over;
        if self.messages[id].asked {
            self.fates.push((id, fate));
        }
    }

    pub(super) fn waiting(&self) -> Vec<usize> {
        (0..self.messages.len()).filter(|id| self.messages[*id].place == Place::Waiting).collect()
    }

    pub(super) fn unconfirmed(&self) -> usize {
        (0..self.messages.len()).filter(|id| self.is_handed(*id)).count()
    }

    pub(super) fn pings(&self) -> impl Iterator<Item = u64> {
        self.stream.iter().filter_map(|(frame, _)| match frame {
            Frame::Ping(token) if !self.answered.contains(token) => Some(*token),
            _ => None,
        })
    }

    pub(super) fn send(&mut self, limits: &OutboxLimits, told: Told) -> bool {
        let same_key = |other: &Told| told.terms.key.is_some() && other.terms.key == told.terms.key;
        let replaced: Vec<_> = self
            .live()
            .into_iter()
            .filter(|id| same_key(&self.messages[*id]) && !self.is_begun(*id))
            .collect();
        let waits: Vec<_> =
            self.waiting().into_iter().filter(|id| !replaced.contains(id)).collect();
        let bytes: usize = waits.iter().map(|id| self.messages[*id].len).sum();
        let room =
            waits.len() + self.unconfirmed() < limits.messages && bytes + told.len <= limits.bytes;
        if room {
            for id in replaced {
                self.settle(id, Fate::NotWritten(Loss::Newer));
            }
            self.messages.push(told);
        }
        room
    }

    pub(super) fn expire(&mut self, now: Instant) {
        for id in self.live() {
            if self.messages[id].terms.deadline().is_some_and(|due| due <= now) {
                let fate = if self.is_begun(id) { Fate::Unknown } else { Fate::NotWritten };
                self.settle(id, fate(Loss::Deadline));
            }
        }
    }

    pub(super) fn hand(&mut self, bytes: usize) {
        self.handed += bytes;
        let frames: Vec<_> = self.stream.iter().map(|(frame, _)| *frame).collect();
        for frame in frames {
            if let Frame::Message(id) = frame
                && self.is_handed(id)
                && !self.messages[id].terms.confirmed
            {
                self.settle(id, Fate::Written);
            }
        }
    }

    pub(super) fn pong(&mut self, token: u64) -> bool {
        let at = self.end_of(Frame::Ping(token));
        if !self.pings().any(|ping| ping == token) || at > self.handed {
            return false;
        }
        let frames: Vec<_> = self.stream.iter().map(|(frame, _)| *frame).collect();
        for frame in frames {
            match frame {
                _ if self.end_of(frame) > at => {}
                Frame::Ping(ping) => self.answered.push(ping),
                Frame::Message(id) if self.messages[id].place == Place::InStream => {
                    self.settle(id, Fate::Confirmed);
                }
                Frame::Message(_) => {}
            }
        }
        true
    }

    pub(super) fn end_session(&mut self, was_ready: bool) {
        for id in self.live() {
            let scope = self.messages[id].terms.scope;
            if self.is_begun(id) {
                self.settle(id, Fate::Unknown(Loss::Session));
            } else if scope == Scope::Durable
                || scope == Scope::UntilReady
                    && !was_ready
                    && self.messages[id].place == Place::Waiting
            {
                self.messages[id].place = Place::Waiting;
            } else {
                self.settle(id, Fate::NotWritten(Loss::Session));
            }
        }
        self.stream.clear();
        self.answered.clear();
        self.handed = 0;
    }
}
