//! RFC 6455, and RFC 7692 by a feature, as bytes and values: what a client may send, and what it makes of what it receives.
//!
//! Everything here is pure. Bytes, limits, masking keys and the time come in as arguments;
//! messages, control frames and verdicts come out. Nothing reads a clock, a socket or a source of
//! randomness, so every rule is tested with a table or a property.
//!
//! | to do this | use |
//! | --- | --- |
//! | judge the server's answer to the upgrade request | [`Key`], [`Offer::check`], [`RetryAfter`] |
//! | turn received bytes into messages | [`Decoder`] with [`Limits`], into a [`BatchBuilder`] |
//! | hold many messages cheaply | [`Batch`], [`Payload`], [`OwnedPayload`] |
//! | turn messages into bytes to send | [`MessageEncoder`], [`encode_frame`], [`encode_close`], [`encoded_len`] |
//! | say why a connection closes | [`CloseCode`], [`CloseFrame`], [`ProtocolError`] |

mod assemble;
mod batch;
mod builder;
mod close;
mod control;
mod decode;
#[cfg(feature = "deflate")]
mod deflate;
mod encode;
mod error;
mod excerpt;
mod frames;
mod handshake;
mod header;
mod invalid_header;
mod key;
mod limits;
mod mask;
mod one_or_many;
mod opcode;
mod payload;
mod refusal;
mod retry_after;
mod subprotocol;
#[cfg(test)]
mod tests;
mod token;
mod unfinished;
mod utf8;
mod whole_frame;

pub use batch::{Batch, Iter};
pub use builder::BatchBuilder;
pub use close::{CloseCode, CloseFrame, InvalidClose};
pub use control::ControlPayload;
pub use decode::{Decoder, Step};
#[cfg(feature = "deflate")]
pub use deflate::{DeflateAgreement, InvalidWindowBits, PerMessageDeflate, WindowBits};
pub use encode::{MessageEncoder, encode_close, encode_frame, encoded_len};
pub use error::ProtocolError;
pub(crate) use frames::{Frames, Taken};
pub use handshake::{Accepted, Offer, ResponseHead};
pub use header::FrameHeader;
pub use invalid_header::InvalidHeader;
pub use key::Key;
pub use limits::Limits;
pub use mask::apply_mask;
pub(crate) use one_or_many::OneOrMany;
pub use opcode::OpCode;
pub use payload::{OwnedPayload, Payload};
pub use refusal::HandshakeError;
pub use retry_after::RetryAfter;
pub use subprotocol::Subprotocol;
pub use token::is_token;
pub use utf8::{InvalidUtf8, Utf8Text};
