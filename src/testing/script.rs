use std::{fmt, io, time::Duration};

use super::{ClientFrame, Peer, UpgradeRequest, answer::Answer, frame::frame, patience};

/// What a server does with one connection, step by step.
///
/// It begins before the opening handshake, and where it ends the stream is closed. Each step that
/// expects something of the client fails the script when something else comes. The client's pings are
/// answered, as by any server, and no step sees them unless it expects one.
///
/// ```
/// use wsvisor::testing::Script;
///
/// let script = Script::new().accept().expect_text("ping").send_text("pong").close(1001);
/// assert_eq!(
///     script.to_string(),
///     "accept; expect text(4 bytes: \"ping\"); send 6 bytes; send 4 bytes; expect the end",
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Answer(Answer),
    Expect(ClientFrame),
    ExpectUpTo(ClientFrame, usize),
    ExpectClose,
    ExpectEnd,
    Echo(usize),
    Send(Vec<u8>),
    Drip { bytes: Vec<u8>, pause: Duration },
    Pause(Duration),
    HalfClose,
    Reset,
    Vanish,
}

impl Script {
    /// A server that accepts the TCP connection and closes it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the upgrade request and accepts it.
    #[must_use]
    pub fn accept(self) -> Self {
        self.accept_with("")
    }

    /// Accepts with these header lines more, each of which ends in `\r\n`:
    /// `Sec-WebSocket-Protocol: v1\r\n` chooses a subprotocol, offered or not.
    #[must_use]
    pub fn accept_with(self, headers: impl Into<String>) -> Self {
        self.answer(Answer::Accept { headers: headers.into() })
    }

    /// Answers the upgrade request with another status, such as `503 Service Unavailable`, and
    /// these header lines, such as `Retry-After: 5\r\n`.
    #[must_use]
    pub fn refuse(self, status: impl Into<String>, headers: impl Into<String>) -> Self {
        self.answer(Answer::Status { status: status.into(), headers: headers.into() })
    }

    /// Accepts with a `Sec-WebSocket-Accept` that belongs to another key.
    #[must_use]
    pub fn accept_another_key(self) -> Self {
        self.answer(Answer::WrongKey)
    }

    /// Accepts without `Sec-WebSocket-Accept`.
    #[must_use]
    pub fn accept_no_key(self) -> Self {
        self.answer(Answer::NoKey)
    }

    /// Answers the upgrade request with these bytes.
    #[must_use]
    pub fn answer_with(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.answer(Answer::Raw(bytes.into()))
    }

    /// Answers the upgrade request with what this function makes of it:
    /// `|request| request.acceptance("").replace("websocket", "h2c")`.
    #[must_use]
    pub fn answer_by(self, answer: fn(&UpgradeRequest) -> String) -> Self {
        self.answer(Answer::By(answer))
    }

    /// Answers with header lines that never end, until the client has had enough.
    #[must_use]
    pub fn answer_without_end(self) -> Self {
        self.answer(Answer::EndlessHead)
    }

    /// Accepts with one byte in each `pause`.
    #[must_use]
    pub fn accept_slowly(self, pause: Duration) -> Self {
        self.answer(Answer::Dripped(pause))
    }

    /// Reads the upgrade request and answers nothing.
    #[must_use]
    pub fn keep_silent(self) -> Self {
        self.answer(Answer::Silence)
    }

    fn answer(self, answer: Answer) -> Self {
        self.then(Step::Answer(answer))
    }

    /// The client's next frame is this one.
    #[must_use]
    pub fn expect(self, frame: ClientFrame) -> Self {
        self.then(Step::Expect(frame))
    }

    /// The client's next frame is this text.
    #[must_use]
    pub fn expect_text(self, text: impl Into<String>) -> Self {
        self.expect(ClientFrame::text(text))
    }

    /// Reads up to this frame of the client's, which is among its next `most`.
    #[must_use]
    pub fn expect_up_to(self, frame: ClientFrame, most: usize) -> Self {
        self.then(Step::ExpectUpTo(frame, most))
    }

    /// Reads up to the client's close frame.
    #[must_use]
    pub fn expect_close(self) -> Self {
        self.then(Step::ExpectClose)
    }

    /// The client ends the stream; what it sends before is read and forgotten.
    #[must_use]
    pub fn expect_end(self) -> Self {
        self.then(Step::ExpectEnd)
    }

    /// Sends the client's next messages back, so many of them.
    #[must_use]
    pub fn echo(self, messages: usize) -> Self {
        self.then(Step::Echo(messages))
    }

    /// Sends bytes as they are: frames of [`frame`](super::frame), malformed, fragmented, or cut.
    #[must_use]
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// Sends a text message in one frame.
    #[must_use]
    pub fn send_text(self, text: impl AsRef<str>) -> Self {
        self.send(frame(0x81, text.as_ref()))
    }

    /// Sends a ping, and expects its pong next.
    #[must_use]
    pub fn ping(self, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref();
        self.send(frame(0x89, payload)).expect(ClientFrame::pong(payload))
    }

    /// Sends bytes one by one, with a pause before each.
    #[must_use]
    pub fn drip(self, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        self.then(Step::Drip { bytes: bytes.into(), pause })
    }

    /// Waits, and answers pings meanwhile.
    #[must_use]
    pub fn pause(self, time: Duration) -> Self {
        self.then(Step::Pause(time))
    }

    /// Sends a close frame with this code and no reason, reads the client's answer, and lets the
    /// client see the end of the stream.
    #[must_use]
    pub fn close(self, code: u16) -> Self {
        self.send(frame(0x88, code.to_be_bytes())).expect_end()
    }

    /// Reads up to the client's close frame and answers with its code.
    #[must_use]
    pub fn answer_close(self) -> Self {
        self.expect_close().close_frame(1000)
    }

    /// Sends a close frame and goes on without waiting for its answer.
    #[must_use]
    pub fn close_frame(self, code: u16) -> Self {
        self.send(frame(0x88, code.to_be_bytes()))
    }

    /// Ends the server's direction of the stream, and keeps the client's open.
    #[must_use]
    pub fn half_close(self) -> Self {
        self.then(Step::HalfClose)
    }

    /// Resets the stream. Nothing can follow.
    #[must_use]
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Neither reads nor writes any more and keeps the stream open, as a machine does that lost
    /// its power. Nothing can follow.
    #[must_use]
    pub fn vanish(self) -> Self {
        self.then(Step::Vanish)
    }

    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// Plays the script to its end, or to the first step at which the client does something else.
    /// Gives the peer back, unless the script reset it: dropping it closes the stream.
    ///
    /// [`Server::play`](super::Server::play) does this for each connection that it accepts.
    ///
    /// # Errors
    /// When the client did something else than a step expects.
    pub async fn perform(&self, mut peer: Peer) -> Result<Option<Peer>, Deviation> {
        for (step, place) in self.0.iter().zip(1..) {
            let deviation = |met: String| Deviation { place, step: step.to_string(), met };
            match step {
                Step::Reset => {
                    peer.reset();
                    return Ok(None);
                }
                Step::Vanish => return Ok(Some(peer)),
                Step::Pause(time) => peer.pause(*time).await,
                step => match patience::within(step.perform(&mut peer)).await {
                    Ok(performed) => performed.map_err(deviation)?,
                    Err(_) => return Err(deviation("the client did nothing".to_owned())),
                },
            }
        }
        Ok(Some(peer))
    }

    pub(super) fn ends_vanished(&self) -> bool {
        matches!(self.0.last(), Some(Step::Vanish))
    }
}

/// The client did not do what a script expects.
#[derive(Clone, Debug, thiserror::Error)]
#[error("step {place} ({step}): {met}")]
pub struct Deviation {
    place: usize,
    step: String,
    met: String,
}

impl Step {
    async fn perform(&self, peer: &mut Peer) -> Result<(), String> {
        let done = match self {
            Self::Answer(answer) => answer.give(peer).await,
            Self::Expect(expected) => match expect(peer, expected).await {
                Ok(frame) if frame == *expected => Ok(()),
                Ok(frame) => return Err(format!("the client sent {frame:?}")),
                Err(error) => Err(error),
            },
            Self::ExpectUpTo(expected, most) => {
                for _ in 0..*most {
                    if peer.try_read().await.map_err(|error| error.to_string())? == *expected {
                        return Ok(());
                    }
                }
                return Err(format!("the client sent {most} other frames"));
            }
            Self::ExpectClose => {
                read_until(peer, |read| matches!(read, Ok(frame) if frame.is_close())).await
            }
            Self::ExpectEnd => {
                read_until(peer, |read| matches!(read, Err(error) if is_end(error))).await
            }
            Self::Echo(messages) => echo(peer, *messages).await,
            Self::Send(bytes) => peer.try_write(bytes).await,
            Self::Drip { bytes, pause } => peer.drip(bytes, *pause).await,
            Self::HalfClose => peer.half_close().await,
            // These end a script or take their time, so they are not of one exchange.
            Self::Pause(_) | Self::Reset | Self::Vanish => Ok(()),
        };
        done.map_err(|error| error.to_string())
    }
}

/// The client's next frame. A ping is answered and passed over, unless it is what is expected.
async fn expect(peer: &mut Peer, expected: &ClientFrame) -> io::Result<ClientFrame> {
    loop {
        let read = peer.try_read().await?;
        if !read.is_ping() || read == *expected {
            return Ok(read);
        }
        answer(peer, &read).await?;
    }
}

/// Answers a ping.
async fn answer(peer: &mut Peer, read: &ClientFrame) -> io::Result<()> {
    if read.is_ping() { peer.try_write(frame(0x8A, &read.payload)).await } else { Ok(()) }
}

async fn read_until(
    peer: &mut Peer,
    wanted: impl Fn(&io::Result<ClientFrame>) -> bool,
) -> io::Result<()> {
    loop {
        let read = peer.try_read().await;
        if wanted(&read) {
            return Ok(());
        }
        answer(peer, &read?).await?;
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

/// Sends messages back; a ping is answered and not counted.
async fn echo(peer: &mut Peer, messages: usize) -> io::Result<()> {
    let mut echoed = 0;
    while echoed < messages {
        let ClientFrame { opcode, payload } = peer.try_read().await?;
        match opcode {
            1 | 2 => {
                peer.try_write(frame(0x80 | opcode, payload)).await?;
                echoed += 1;
            }
            9 => peer.try_write(frame(0x8A, payload)).await?,
            8 => return Err(io::Error::other("the client closed")),
            _ => {}
        }
    }
    Ok(())
}

/// The steps in order, as a person would tell them.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(f, "{answer}"),
            Self::Expect(frame) => write!(f, "expect {frame:?}"),
            Self::ExpectUpTo(frame, most) => write!(f, "expect {frame:?} among {most} frames"),
            Self::ExpectClose => f.write_str("expect a close frame"),
            Self::ExpectEnd => f.write_str("expect the end"),
            Self::Echo(messages) => write!(f, "echo {messages} messages"),
            Self::Send(bytes) => write!(f, "send {} bytes", bytes.len()),
            Self::Drip { bytes, pause } => {
                write!(f, "send {} bytes, one each {pause:?}", bytes.len())
            }
            Self::Pause(time) => write!(f, "pause {time:?}"),
            Self::HalfClose => f.write_str("half-close"),
            Self::Reset => f.write_str("reset"),
            Self::Vanish => f.write_str("vanish"),
        }
    }
}
