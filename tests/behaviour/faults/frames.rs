//! Frames that no server may send: rows 19 to 27 of the list in [`super`].

use std::time::Duration;

use wsvisor::{
    ExitReason, Limits, Liveness, ProtocolError, Settings,
    testing::{Fault as Harm, Faults, Script, frame},
};

use super::stage::{Fault, Next};
use crate::support::ms;

/// The server sends a text and then these bytes, one behind the other or byte by byte. Whatever
/// follows them is not looked at.
fn refused(
    bytes: impl Into<Vec<u8>>,
    limits: Limits,
    code: u16,
    reason: fn(&ProtocolError) -> bool,
) {
    let bytes = [frame(0x81, "before"), bytes.into(), frame(0x81, "after")].concat();
    let is_refused =
        move |exit: &ExitReason| matches!(exit, ExitReason::Protocol(error) if reason(error));
    for pieces in [usize::MAX, 1] {
        let script = Script::new().accept().send(bytes.clone()).expect_close().expect_end();
        Fault::of(script)
            .through(Faults::new().to_client(Harm::Chop(pieces)))
            .settings(Settings::default().limits(limits))
            .after_hearing(&["before"])
            .breaks(ms(50), code, Next::GivesUp, is_refused);
    }
}

/// A frame's header, whose payload never comes.
fn header(first: u8, second: u8, extended: &[u8]) -> Vec<u8> {
    [&[first, second], extended].concat()
}

macro_rules! refused {
    ($code:literal, $pattern:pat, $bytes:expr) => {
        refused!($code, $pattern, $bytes, Limits::default())
    };
    ($code:literal, $pattern:pat, $bytes:expr, $limits:expr) => {
        refused($bytes, $limits, $code, |error| matches!(error, $pattern))
    };
}

/// Decided at the header, before any of the payload is stored (RUSTSEC-2022-0035, CVE-2026-47073).
#[test]
fn fault_19_an_oversized_frame_is_announced() {
    for len in [1 << 40, 1 << 62, (1 << 63) - 1, 10 << 30, (16 << 20) + 1] {
        let len: u64 = len;
        refused!(1009, ProtocolError::FrameTooBig { .. }, header(0x82, 127, &len.to_be_bytes()));
    }
    let limits = Limits::default().with_max_frame(1_000).with_max_message(1_500);
    let frame_too_big = header(0x82, 126, &1_001_u16.to_be_bytes());
    refused!(1009, ProtocolError::FrameTooBig { .. }, frame_too_big, limits);
    let message_too_big = [frame(0x02, [0; 1_000]), header(0x80, 126, &501_u16.to_be_bytes())];
    refused!(1009, ProtocolError::MessageTooBig { .. }, message_too_big.concat(), limits);
}

/// Lengths that overflow, or are not in their shortest form (CVE-2026-1528, CVE-2020-27813).
#[test]
fn fault_19_a_length_that_no_frame_may_have() {
    for len in [1_u64 << 63, u64::MAX] {
        refused!(1002, ProtocolError::LengthTopBit, header(0x82, 127, &len.to_be_bytes()));
    }
    for bytes in [
        header(0x82, 126, &[0, 5]),
        header(0x82, 126, &[0, 125]),
        header(0x82, 127, &[0, 0, 0, 0, 0, 0, 0, 5]),
        header(0x82, 127, &[0, 0, 0, 0, 0, 0, 255, 255]),
    ] {
        refused!(1002, ProtocolError::NonMinimalLength { .. }, bytes);
    }
}

const MINUTE: Duration = Duration::from_mins(1);

fn stalled(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Protocol(ProtocolError::Stalled { limit: MINUTE }))
}

/// A message has a minute, however it is kept from its end: bytes that drip, fragments and pings
/// between them do not give it more. It may be the network's fault, so another session is tried.
#[test]
fn fault_20_a_message_that_is_never_finished() {
    let half = || Script::new().accept().send_text("before").send(header(0x82, 126, &[4, 0]));
    let ping = || frame(0x89, "still here");
    let silent = half().pause(MINUTE).expect_close();
    let begun = [frame(0x01, "begun "), ping().repeat(3)].concat();
    let fragments =
        Script::new().accept().send_text("before").drip(begun, ms(3_000)).expect_close();
    let header = Script::new().accept().send_text("before").send([0x82]).expect_close();
    let ping = Script::new().accept().send_text("before").send([0x89, 5, b'x']).expect_close();
    for script in [silent, half().drip(vec![0; 1_000], ms(500)), fragments, header, ping] {
        // The server answers no ping here: its answer would be taken for the rest.
        let settings = Settings::default().liveness(Liveness::off());
        let fault = Fault::of_careless(script).settings(settings).after_hearing(&["before"]);
        // It begins 3 s after the session, and the close handshake takes 1 s.
        fault.breaks(MINUTE + ms(4_100), 1008, Next::Retries, stalled);
    }
}

/// Each of many messages that take their time has the whole minute.
#[test]
fn fault_20_slow_messages_are_finished() {
    let slow = |script: Script, text: &str| script.drip(frame(0x81, text), ms(15_000));
    let script = slow(slow(slow(Script::new().accept(), "a"), "b"), "c");
    let settings = Settings::default().liveness(Liveness::off());
    let fault = Fault::of(script.close(1001)).settings(settings).after_hearing(&["a", "b", "c"]);
    fault.breaks(Duration::from_mins(4), 1001, Next::Retries, |reason| {
        matches!(reason, ExitReason::ClosedByPeer(_))
    });
}

#[test]
fn fault_21_fragments_without_end() {
    let limits = Limits::default().with_max_fragments(3);
    let four = [frame(0x01, "x"), frame(0, "x"), frame(0, "x"), frame(0, "")].concat();
    refused!(1009, ProtocolError::TooManyFragments { limit: 3 }, four, limits);
    // Of those that are empty, no byte counts against the message's length.
    let empty = [frame(0x02, ""), frame(0x00, "").repeat(4_096)].concat();
    refused!(1009, ProtocolError::TooManyFragments { limit: 4_096 }, empty);
    let limits = Limits::default().with_max_message(999).with_max_fragments(u32::MAX);
    let tiny = [frame(0x01, "x"), frame(0x00, "x").repeat(1_000)].concat();
    refused!(1009, ProtocolError::MessageTooBig { .. }, tiny, limits);
}

#[test]
fn fault_22_text_that_is_not_utf_8() {
    for bytes in [
        frame(0x81, [0xC3, 0x28]),
        // It ends inside a character.
        frame(0x81, [0xE2, 0x82]),
        // A surrogate, an overlong form, and what is above the last character.
        frame(0x81, [0xED, 0xA0, 0x80]),
        frame(0x81, [0xC0, 0xAF]),
        frame(0x81, [0xF4, 0x90, 0x80, 0x80]),
        // A character that is cut by the end of a fragment, and does not go on.
        [frame(0x01, [0xE2]), frame(0x00, [0x82]), frame(0x80, "x")].concat(),
        // These bytes can no longer become UTF-8: the rest of the message is not waited for.
        [header(0x01, 127, &[0, 0, 0, 0, 0, 0x0F, 0, 0]), vec![b'a', 0xFF]].concat(),
    ] {
        refused!(1007, ProtocolError::InvalidUtf8, bytes);
    }
    refused!(1007, ProtocolError::InvalidCloseReason, frame(0x88, [3, 0xE8, 0xFF]));
}

#[test]
fn fault_23_reserved_bits_and_opcodes() {
    for bit in [0x40, 0x20, 0x10] {
        for opcode in [0x81, 0x82, 0x88, 0x89, 0x8A] {
            refused!(1002, ProtocolError::ReservedBits(_), frame(bit | opcode, ""));
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        refused!(1002, ProtocolError::UnknownOpcode(_), frame(0x80 | opcode, "x"));
    }
}

#[test]
fn fault_24_a_masked_frame() {
    for opcode in [0x81, 0x82, 0x88, 0x89] {
        refused!(1002, ProtocolError::MaskedFrame, header(opcode, 0x80, &[1, 2, 3, 4]));
    }
}

#[test]
fn fault_25_control_frames_that_are_no_control_frames() {
    for opcode in [0x08, 0x09, 0x0A] {
        refused!(1002, ProtocolError::FragmentedControl { .. }, frame(opcode, ""));
        let long = header(0x80 | opcode, 126, &[0, 126]);
        refused!(1002, ProtocolError::ControlTooLong { .. }, long);
        let gibibyte = header(0x80 | opcode, 127, &(1_u64 << 30).to_be_bytes());
        refused!(1002, ProtocolError::ControlTooLong { .. }, gibibyte);
    }
}

#[test]
fn fault_26_fragments_out_of_order() {
    for stray in [0x80, 0x00] {
        refused!(1002, ProtocolError::StrayContinuation, frame(stray, "x"));
    }
    for nested in [0x81, 0x82, 0x01, 0x02] {
        let bytes = [frame(0x01, "x"), frame(nested, "y")].concat();
        refused!(1002, ProtocolError::InterruptedMessage { .. }, bytes);
    }
}

#[test]
fn fault_27_close_frames_that_may_not_be_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        refused!(1002, ProtocolError::InvalidCloseCode(_), frame(0x88, code.to_be_bytes()));
    }
    refused!(1002, ProtocolError::TruncatedCloseCode, frame(0x88, [3]));
    let too_long = [&[3, 0xE8][..], &[b'x'; 124]].concat();
    refused!(1002, ProtocolError::ControlTooLong { .. }, frame(0x88, too_long));
}

/// Once over real sockets: what is sent is the same, and so is what comes of it.
#[test]
fn fault_23_over_tcp() {
    let script = Script::new().accept().send_text("before").send(frame(0x83, "")).expect_close();
    Fault::of(script.expect_end()).also_over_tcp().after_hearing(&["before"]).breaks(
        Duration::from_secs(1),
        1002,
        Next::GivesUp,
        |reason| matches!(reason, ExitReason::Protocol(ProtocolError::UnknownOpcode(3))),
    );
}
