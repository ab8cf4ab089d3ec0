use std::mem;

use bytes::BufMut;

#[cfg(feature = "deflate")]
use super::deflate::{DeflateAgreement, Inflater};
use super::{
    BatchBuilder, CloseFrame, ControlPayload, FrameHeader, Limits, OpCode, ProtocolError,
    assemble::{Delivered, Message},
    header::{FirstByte, RSV1, is_masked},
    unfinished::{ControlFrame, DataFrame, PartialHeader},
    whole_frame::{WHOLE_BINARY, WHOLE_TEXT, payload_len, split_whole_frame},
};

/// Turns the bytes that a server sends into messages: a client's side of RFC 6455 §5, and of RFC 7692
/// where that was negotiated.
///
/// Bytes may come in any pieces; messages, steps and errors are the same for every cut. Whole
/// messages are decoded where they lie. Only what a read leaves unfinished is kept, so an idle
/// decoder owns no buffer.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    header: PartialHeader,
    /// A fragmented message between two of its frames.
    fragmented: Option<Box<Message>>,
    phase: Phase,
    #[cfg(feature = "deflate")]
    inflater: Option<Box<Inflater>>,
    /// Unfinished messages that were finished, by which one is told from the next.
    finished: u32,
}

/// What the caller of [`Decoder::decode`] has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The input is used up: read more.
    NeedMore,
    /// A ping came: answer with a pong of the same payload (§5.5.2), then call again.
    Ping(ControlPayload),
    /// A pong came: note it, then call again.
    Pong(ControlPayload),
    /// A Close came (§5.5.1): answer it. Whatever follows it is ignored.
    Close(Option<CloseFrame>),
    /// The batch has a large message, or no room for the next: deliver it, empty it, then call
    /// again.
    Flush,
}

impl Decoder {
    /// A decoder for a connection that was just opened.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            header: PartialHeader::EMPTY,
            fragmented: None,
            phase: Phase::Header,
            finished: 0,
            #[cfg(feature = "deflate")]
            inflater: None,
        }
    }

    /// The same, for a connection that agreed on permessage-deflate. The limit of a message is that
    /// of what it inflates to; that of a frame is of what comes over the wire.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(self, agreement: &DeflateAgreement) -> Self {
        Self { inflater: Some(Box::new(Inflater::new(agreement))), ..self }
    }

    /// Whether a read may hold more than it seems: its messages may be compressed.
    #[must_use]
    pub const fn inflates(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.inflater.is_some();
        #[cfg(not(feature = "deflate"))]
        false
    }

    /// Decodes `input` from `*at` on, appends whole messages to `out` and stops where the caller
    /// has to act.
    ///
    /// `*at` moves past what was used. Call again with the same input until the answer is
    /// [`Step::NeedMore`]. Messages in `out` came before the step that is returned.
    ///
    /// # Errors
    ///
    /// The first breach of the protocol or of a limit, as soon as the bytes decide it. Messages
    /// before it stay in `out`. The connection is to be failed: the input counts as used, and every
    /// later call answers with the same error.
    pub fn decode(
        &mut self,
        input: &[u8],
        at: &mut usize,
        out: &mut BatchBuilder,
    ) -> Result<Step, ProtocolError> {
        let mut rest = input.get(*at..).unwrap_or_default();
        let result = self.advance(&mut rest, out);
        match &result {
            Ok(Step::Close(_)) => self.end(Phase::Closed),
            Ok(_) => {}
            Err(error) => {
                rest = &[];
                self.end(Phase::Failed(Box::new(error.clone())));
            }
        }
        *at = input.len() - rest.len();
        result
    }

    /// Lets `read` put what comes next straight into the unfinished message, where that has 32 KiB and
    /// lacks as many: its bytes are then not copied once more. `read` gets room for a part of this
    /// message and for nothing behind it, 1 MiB at most.
    ///
    /// Afterwards call [`decode`](Self::decode) with empty input: it judges what was put there, and
    /// delivers the message if that was its last.
    ///
    /// `None`, and `read` was not called, where there is no such message: read into a buffer of your
    /// own, and hand that to [`decode`](Self::decode).
    pub fn fill<R>(&mut self, read: impl FnOnce(&mut dyn BufMut) -> R) -> Option<R> {
        match &mut self.phase {
            Phase::Data(frame) => frame.fill(read),
            _ => None,
        }
    }

    /// Whether a frame or a message is unfinished: the peer owes bytes.
    #[must_use]
    pub const fn is_mid_message(&self) -> bool {
        self.header.len() > 0
            || self.fragmented.is_some()
            || matches!(self.phase, Phase::Data(_) | Phase::Control(_))
    }

    /// The number of the frame or message that is unfinished, so that one is told from the next.
    pub(crate) fn unfinished(&self) -> Option<u32> {
        self.is_mid_message().then_some(self.finished)
    }

    /// How many received bytes are held for an unfinished frame or message.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let in_phase = match &self.phase {
            Phase::Data(frame) => frame.message.len(),
            Phase::Control(frame) => frame.payload.as_slice().len(),
            Phase::Header | Phase::Closed | Phase::Failed(_) => 0,
        };
        self.header.len() + in_phase + self.fragmented.as_ref().map_or(0, |message| message.len())
    }

    fn advance(&mut self, rest: &mut &[u8], out: &mut BatchBuilder) -> Result<Step, ProtocolError> {
        loop {
            match mem::replace(&mut self.phase, Phase::Header) {
                Phase::Header => {
                    if !self.is_mid_message() {
                        self.take_whole_messages(rest, out)?;
                    }
                    let Some(header) = self.take_header(rest)? else {
                        return Ok(Step::NeedMore);
                    };
                    self.phase = self.begin(header);
                }
                Phase::Data(mut frame) => {
                    self.take_payload(&mut frame, rest, out)?;
                    if frame.missing > 0 {
                        self.phase = Phase::Data(frame);
                        return Ok(Step::NeedMore);
                    }
                    if !frame.fin {
                        self.fragmented = Some(frame.message);
                    } else if !out.has_room_for(frame.message.len()) {
                        self.phase = Phase::Data(frame);
                        return Ok(Step::Flush);
                    } else {
                        self.finished = self.finished.wrapping_add(1);
                        let adopt_from = if self.inflates() { INFLATED } else { ADOPT_FROM };
                        if frame.message.deliver(out, adopt_from)? == Delivered::Adopted
                            || self.inflates() && out.payload_bytes() >= INFLATED
                        {
                            return Ok(Step::Flush);
                        }
                    }
                }
                Phase::Control(mut frame) => {
                    frame.take_payload(rest);
                    if frame.missing == 0 {
                        if self.fragmented.is_none() {
                            self.finished = self.finished.wrapping_add(1);
                        }
                        return frame.into_step();
                    }
                    self.phase = Phase::Control(frame);
                    return Ok(Step::NeedMore);
                }
                Phase::Closed => {
                    *rest = &[];
                    self.phase = Phase::Closed;
                    return Ok(Step::NeedMore);
                }
                Phase::Failed(error) => return Err(*error),
            }
        }
    }

    /// The fast path: unfragmented messages that lie whole in `rest`. Stops before anything else,
    /// and leaves it to the other paths to judge it.
    fn take_whole_messages(
        &self,
        rest: &mut &[u8],
        out: &mut BatchBuilder,
    ) -> Result<(), ProtocolError> {
        if !out.has_room_for(rest.len()) {
            return Ok(());
        }
        // One reservation for all that may follow, instead of a growing area. For one message it is exact.
        let longest = self.limits.max_frame().min(self.limits.max_message());
        match split_whole_frame(rest, longest) {
            Some((WHOLE_TEXT, ..)) if out.is_empty() => out.reserve_text(payload_len(rest)),
            Some((WHOLE_BINARY, ..)) if out.is_empty() => out.reserve_binary(payload_len(rest)),
            _ => {}
        }
        while let Some((first, payload, next)) = split_whole_frame(rest, longest) {
            match first {
                WHOLE_TEXT => {
                    let text = simdutf8::basic::from_utf8(payload)
                        .map_err(|_| ProtocolError::InvalidUtf8)?;
                    out.push_text(text);
                }
                WHOLE_BINARY => out.push_binary(payload),
                _ => break,
            }
            *rest = next;
        }
        Ok(())
    }

    /// Takes header bytes one by one, for each may be the one that decides, until the header is
    /// whole.
    fn take_header(&mut self, rest: &mut &[u8]) -> Result<Option<FrameHeader>, ProtocolError> {
        while let Some((&byte, next)) = rest.split_first() {
            *rest = next;
            self.header.push(byte);
            if let Some(header) = self.judge_header()? {
                self.header = PartialHeader::EMPTY;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Holds the header's bytes so far against every rule, in the order of the bytes that decide
    /// them.
    fn judge_header(&self) -> Result<Option<FrameHeader>, ProtocolError> {
        let bytes = self.header.as_slice();
        if let Some(&first) = bytes.first() {
            self.judge_first_byte(FirstByte::parse(first)?)?;
        }
        if bytes.get(1).is_some_and(|&second| is_masked(second)) {
            return Err(ProtocolError::MaskedFrame);
        }
        let Some((header, _)) = FrameHeader::parse(bytes)? else {
            return Ok(None);
        };
        if !header.opcode.is_control() {
            self.judge_len(&header)?;
        }
        Ok(Some(header))
    }

    #[cfg_attr(not(feature = "deflate"), expect(clippy::unused_self, reason = "it inflates"))]
    fn take_payload(
        &mut self,
        frame: &mut DataFrame,
        rest: &mut &[u8],
        out: &mut BatchBuilder,
    ) -> Result<(), ProtocolError> {
        #[cfg(feature = "deflate")]
        if frame.message.is_compressed
            && let Some(inflater) = &mut self.inflater
        {
            return frame.take_compressed(rest, inflater, self.limits.max_message());
        }
        if frame.message.has_no_memory() && !rest.is_empty() {
            frame.message.begin_in(out.memory_for(frame.missing));
        }
        frame.take_payload(rest)
    }

    fn judge_first_byte(
        &self,
        FirstByte { rsv, opcode, .. }: FirstByte,
    ) -> Result<(), ProtocolError> {
        // RFC 7692 §6: the first frame of a message says of all of it that it is compressed.
        let says_compressed =
            rsv == RSV1 && self.inflates() && matches!(opcode, OpCode::Text | OpCode::Binary);
        if rsv != 0 && !says_compressed {
            return Err(ProtocolError::ReservedBits(rsv));
        }
        let limit = self.limits.max_fragments();
        match (opcode, &self.fragmented) {
            (OpCode::Continuation, None) => Err(ProtocolError::StrayContinuation),
            (OpCode::Continuation, Some(message)) if message.frames() >= limit => {
                Err(ProtocolError::TooManyFragments { limit })
            }
            (OpCode::Text | OpCode::Binary, Some(_)) => {
                Err(ProtocolError::InterruptedMessage { opcode })
            }
            _ => Ok(()),
        }
    }

    /// Holds a data frame's announced length against the limits, before any of it is stored.
    fn judge_len(&self, header: &FrameHeader) -> Result<(), ProtocolError> {
        let len = header.len;
        let limit = self.limits.max_frame();
        if len > limit as u64 {
            return Err(ProtocolError::FrameTooBig { announced: len, limit });
        }
        let is_compressed = match &self.fragmented {
            Some(message) => message.is_compressed,
            None => header.rsv == RSV1,
        };
        if is_compressed {
            // What it inflates to is judged as it does.
            return Ok(());
        }
        let held = self.fragmented.as_ref().map_or(0, |message| message.len());
        let announced = len.saturating_add(held as u64);
        let limit = self.limits.max_message();
        if announced > limit as u64 {
            return Err(ProtocolError::MessageTooBig { announced, limit });
        }
        Ok(())
    }

    /// The phase of receiving the payload of the frame that `header` opens.
    fn begin(&mut self, header: FrameHeader) -> Phase {
        let FrameHeader { fin, rsv, opcode, len, .. } = header;
        // The limits are 32 bits wide: a length that passed them fits.
        let missing = usize::try_from(len).unwrap_or(usize::MAX);
        if opcode.is_control() {
            return Phase::Control(Box::new(ControlFrame {
                opcode,
                payload: ControlPayload::EMPTY,
                missing,
            }));
        }
        let message = if let Some(mut message) = self.fragmented.take() {
            message.count_frame();
            message
        } else {
            let text = opcode == OpCode::Text;
            let mut message = if text { Message::text() } else { Message::binary() };
            message.is_compressed = rsv == RSV1;
            Box::new(message)
        };
        Phase::Data(DataFrame { message, missing, fin })
    }

    /// Enters a last phase and lets go of all that is unfinished.
    fn end(&mut self, phase: Phase) {
        *self = Self { phase, ..Self::new(self.limits) };
    }
}

/// What the next byte is.
#[derive(Debug)]
enum Phase {
    /// Part of a frame's header.
    Header,
    /// Payload of a data frame.
    Data(DataFrame),
    /// Payload of a control frame. Boxed because it is large and rare.
    Control(Box<ControlFrame>),
    /// Of no interest: it comes after a Close.
    Closed,
    /// Of no interest: it comes after this error.
    Failed(Box<ProtocolError>),
}

/// A message that was cut by the end of a read is handed over from this size on, in bytes, and not copied: a
/// batch of its own costs less.
const ADOPT_FROM: usize = 8 * 1024;

/// What came compressed is delivered when it has grown to so many bytes: its own size says little of how
/// much more a read holds.
const INFLATED: usize = 64 * 1024;
