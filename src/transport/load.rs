use super::reply::Reply;
use crate::{
    entropy::masking_key,
    lifecycle::{Flight, Slot},
    message::keep_memory,
    protocol::{Frames, MessageEncoder, OwnedPayload, Taken},
};

/// What waits to be written: a message, or several of a batch that have nothing between them.
pub(super) enum Load {
    One(OwnedPayload),
    Run(Box<Frames>),
}

/// What waits for a session, or for the socket.
pub(super) type Waiting = Slot<Load, Reply>;

/// Encodes what waited behind what `out` holds: of a run, `most` messages, and none more once `out` holds
/// `budget` bytes, but one at least. Returns what is left.
pub(super) fn encode(
    mut waiting: Waiting,
    most: usize,
    (out, budget): (&mut Vec<u8>, usize),
    messages: &mut MessageEncoder,
    flight: &mut Flight<Load, Reply>,
) -> Option<Waiting> {
    let before = out.len();
    match &mut waiting.payload {
        Load::One(payload) => {
            let payload = payload.as_payload();
            if waiting.terms.as_ref().is_some_and(|terms| terms.may_be_taken_back()) {
                // What follows must not refer to it.
                messages.encode_plainly(out, payload, masking_key());
            } else {
                messages.encode(out, payload, masking_key());
            }
            flight.encoded(out.len() - before, waiting);
            None
        }
        Load::Run(frames) => {
            let Taken { ends, payload_bytes } =
                messages.encode_frames(out, frames, (most, budget), masking_key);
            let reply = waiting.take_front(ends.len(), payload_bytes);
            flight.encoded_run(ends, reply);
            if waiting.count > 0 {
                return Some(waiting);
            }
            if let Load::Run(frames) = waiting.payload {
                keep_memory(frames);
            }
            None
        }
    }
}

/// Bytes that a message takes at least: not many are as small.
pub(super) const LEAST_FRAME: usize = 64;
