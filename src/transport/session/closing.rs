//! How a session ends: by a closing handshake, or without one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Sleep;

use super::{Inbound, Session};
use crate::{
    lifecycle::{ExitReason, Verdict},
    protocol::{CloseCode, CloseFrame, ProtocolError},
    transport::{link::End, writer::Farewell},
};

pub(super) struct Closing {
    pub(super) farewell: Option<Farewell>,
    /// Why the session ends. Absent while we wait for the peer's close frame.
    pub(super) exit: Option<ExitReason>,
    /// Why we close the session, where nobody asked for it.
    pub(super) verdict: Option<Verdict>,
    /// Turns of the thread in which messages still go out.
    pub(super) courtesy: u8,
    pub(super) shut_down: bool,
    pub(super) draining: Option<Draining>,
    pub(super) deadline: Pin<Box<Sleep>>,
}

/// Another session took over, and this one delivers what still comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draining {
    /// Its close frame goes out when nothing is waited for any more.
    Waits,
    /// Its time is nearly over.
    Hurries,
}

impl Session {
    pub(super) fn asked_to_end(&mut self, End { close, reason }: End) {
        match close {
            Some(frame) if self.link.is_beside() => self.begin_draining(frame),
            Some(frame) => self.begin_close(frame, None),
            None => {}
        }
        if let Some(reason) = reason {
            self.end(Farewell::Frame(CloseFrame::bare(CloseCode::JUDGED)), reason);
        }
    }

    /// Begins the closing handshake: it was asked for, or this verdict asks for it.
    pub(super) fn begin_close(&mut self, frame: CloseFrame, verdict: Option<Verdict>) {
        if self.closing.is_none() {
            self.vitals = None;
            self.closing = Some(Box::new(Closing {
                farewell: Some(Farewell::Frame(frame)),
                exit: None,
                verdict,
                courtesy: 0,
                shut_down: false,
                draining: None,
                deadline: Box::pin(tokio::time::sleep(self.settings.timeouts.close)),
            }));
        }
    }

    /// Begins to end the session, since another has taken over.
    fn begin_draining(&mut self, frame: CloseFrame) {
        self.begin_close(frame, None);
        if let Some(closing) = &mut self.closing
            && closing.exit.is_none()
            && closing.verdict.is_none()
        {
            closing.draining = Some(Draining::Waits);
            let rest = self.settings.timeouts.close / HANDSHAKE_PART;
            let wait = self.settings.timeouts.close.saturating_sub(rest);
            closing.deadline = Box::pin(tokio::time::sleep(wait));
        }
    }

    /// Whether what comes is delivered.
    pub(super) fn delivers(&self) -> bool {
        self.closing
            .as_ref()
            .is_none_or(|closing| closing.draining.is_some() && closing.exit.is_none())
    }

    /// Whether the close frame is kept back: the peer has still to answer or to confirm something.
    pub(super) fn waits_while_draining(&self, inbound: &impl Inbound) -> bool {
        let closing = self.closing.as_ref();
        closing.is_some_and(|it| it.exit.is_none() && it.draining == Some(Draining::Waits))
            && (self.link.is_in_flight() || inbound.awaits_answers())
    }

    pub(super) fn peer_closed(&mut self, frame: Option<CloseFrame>) {
        if let Some(closing) = &mut self.closing {
            // The answer to our close frame, or a close that crossed it.
            closing.exit = Some(match closing.verdict.take() {
                Some(verdict) => ExitReason::Judged(verdict),
                None => ExitReason::ClosedByUs(frame),
            });
            closing.linger(self.settings.timeouts.close);
            return;
        }
        // RFC 6455 §5.5.1: the answer typically echoes the status code.
        let echo = frame
            .as_ref()
            .map_or(Farewell::Empty, |frame| Farewell::Frame(CloseFrame::bare(frame.code())));
        self.end(echo, ExitReason::ClosedByPeer(frame));
    }

    /// Fails the session (RFC 6455 §7.1.7): a close frame with the error's code, and the end.
    pub(super) fn refuse(&mut self, error: ProtocolError) {
        let frame = CloseFrame::bare(error.close_code());
        self.end(Farewell::Frame(frame), ExitReason::Protocol(error));
        if let Some(closing) = &mut self.closing
            && closing.farewell.is_some()
        {
            closing.courtesy = COURTESY;
        }
    }

    pub(super) fn end(&mut self, farewell: Farewell, exit: ExitReason) {
        self.vitals = None;
        // A close frame of ours that is already out is the last frame.
        let farewell = match self.closing.take() {
            Some(closing) if closing.farewell.is_none() => None,
            _ => Some(farewell),
        };
        self.closing = Some(Box::new(Closing {
            farewell,
            exit: Some(exit),
            verdict: None,
            courtesy: 0,
            shut_down: false,
            draining: None,
            deadline: Box::pin(tokio::time::sleep(LINGER.min(self.settings.timeouts.close))),
        }));
    }

    /// Whether what is left to say waits for one turn more.
    pub(super) fn waits_out_of_courtesy(&mut self, cx: &Context<'_>) -> bool {
        match &mut self.closing {
            Some(closing) if closing.courtesy > 0 => {
                closing.courtesy -= 1;
                cx.waker().wake_by_ref();
                true
            }
            _ => false,
        }
    }

    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<ExitReason> {
        match &mut self.closing {
            Some(closing) => {
                ready!(closing.deadline.as_mut().poll(cx));
                if closing.draining == Some(Draining::Waits) && closing.exit.is_none() {
                    closing.draining = Some(Draining::Hurries);
                    let rest = self.settings.timeouts.close / HANDSHAKE_PART;
                    closing.deadline = Box::pin(tokio::time::sleep(rest));
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(closing.reason_without_answer())
            }
            None => Poll::Pending,
        }
    }

    pub(super) fn stream_ended(&mut self, error: Option<io::Error>) -> ExitReason {
        match (self.closing.take(), error) {
            (Some(mut closing), _) => closing.reason_without_answer(),
            // TLS without close_notify ends so: a close frame would have said more.
            (None, Some(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                ExitReason::io(error)
            }
            (None, _) => ExitReason::Eof { mid_message: self.decoder.is_mid_message() },
        }
    }
}

impl Closing {
    fn linger(&mut self, close_timeout: Duration) {
        self.deadline = Box::pin(tokio::time::sleep(LINGER.min(close_timeout)));
    }

    fn reason_without_answer(&mut self) -> ExitReason {
        let verdict = self.verdict.take().map(ExitReason::Judged);
        self.exit.take().or(verdict).unwrap_or(ExitReason::CloseUnanswered)
    }
}

/// After the last frame the server is the one to end the TCP connection (RFC 6455 §7.1.1). It is
/// waited for this long, so that a reset of ours does not overtake our close frame.
const LINGER: Duration = Duration::from_secs(1);

/// The close frame that refuses the peer's bytes goes out in this turn of the thread after them.
/// Before that, subscribers handle the messages that came ahead of the bad bytes, and the
/// connection's actor takes their answers: these are written, as if the messages had come alone.
const COURTESY: u8 = 3;

/// The part of the time for closing that is left to the closing handshake.
pub(super) const HANDSHAKE_PART: u32 = 4;
