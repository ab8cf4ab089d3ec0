//! permessage-deflate (RFC 7692): messages that are compressed on the way.
//!
//! | to do this | use |
//! | --- | --- |
//! | offer it, and judge the server's answer | [`PerMessageDeflate`], which gives a [`DeflateAgreement`] |
//! | decompress | a [`Decoder`](super::Decoder) made [`with_deflate`](super::Decoder::with_deflate) |
//! | compress | a [`MessageEncoder`](super::MessageEncoder) made with an agreement |

mod agreement;
mod compressor;
mod inflater;
mod offer;

pub use agreement::DeflateAgreement;
pub(super) use compressor::Compressor;
pub(super) use inflater::Inflater;
pub use offer::{InvalidWindowBits, PerMessageDeflate, WindowBits};

/// What ends each compressed message and is not sent (RFC 7692 §7.2.1): the body of the empty block
/// that a flush makes.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
