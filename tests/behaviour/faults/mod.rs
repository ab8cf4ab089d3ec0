//! What may go wrong with a server, a network and a machine, one row after the other. Each test of this
//! module is named after its row; the others stand where their subject is tested.
//!
//! | row | what happens | shown by |
//! | --- | --- | --- |
//! | 1, 2, 4–7 | refused, lost SYNs, reset, closed, dripping and silent handshakes | [`reaching`] |
//! | 3 | the first of several addresses is dead | [`silence`]; `addresses` |
//! | 8–18 | the opening handshake | [`opening`] |
//! | 12 | redirects that are followed | `redirects` |
//! | 13 | refused credentials that can be replaced | `credentials` |
//! | 19–27 | frames | [`frames`]; memory: `tests/flat_memory/` |
//! | 28–33 | the end of a session | [`ending`] |
//! | 34, 35 | the path is lost in silence; the server does not read | [`silence`]; `liveness` |
//! | 36, 39 | floods, and a busy thread | [`overload`]; memory: `tests/flat_memory/` |
//! | 37 | the server is restarted | `supervised::the_address_survives_ten_restarts_of_the_server`; `tests/real_peers/restart.rs` |
//! | 38 | it flaps | `supervised::the_backoff_starts_again_once_the_session_is_ready`; `tests/flat_memory/soak.rs` |
//! | 40 | the clock jumps | [`silence`]; `liveness::after_the_machine_slept_a_ping_is_sent_first` |
//! | 41, 42 | panics of the session, and of the user's code | `tls::a_panic_in_the_task_is_an_exit_and_the_address_survives`; `administration`; `credentials`; `greetings` |
//! | 43, 44 | subscribers that are gone, slow, or panic | `subscribers` |
//! | 45, 46 | the resolver, and answers that change | `addresses` |
//! | 47 | TLS | `tls::failures` |
//! | 48 | proxies | `proxies`; `tests/real_peers/` |
//! | 49 | no descriptors, ports or memory are left | [`shortage`] |
//! | 50 | more than a hundred connections | `supervised::a_hundred_and_fifty_connections_to_one_server_all_connect` |
//! | 51 | shutdown, some of it hung | `administration::a_shutdown_has_a_deadline`; `beyond_otp` |
//! | 52 | commands in the wrong moment, and twice | `supervisor_commands::each_operation_answers_as_otp_does_in_each_state`; `standalone_connect`; `tests/simulation/` |
//! | 53 | hostile URLs, headers and subprotocols | `standalone_connect::bad_parameters_are_refused_before_anything_is_dialled`; `policy/` |
//! | any | networks that are bad by chance | [`chance`] |
//!
//! What is known of other clients' opening handshakes and frames has its rows there as well: interim answers
//! 11, subprotocol 16, extension 17, accept key and `Upgrade` 10, HTTP/1.0 18, long heads 9, garbage 8,
//! frames behind the answer `standalone_messages`, masked frames 24, reserved bits 23, control frames 25, UTF-8
//! 22, announced lengths 19, fragments 21, the end inside a frame 32.
//!
//! Each named test asserts the same: the attempt or session ends once, for the typed reason, with its close
//! code and within its time; every message that was accepted has a fate, and what was received whole is
//! delivered; the next attempt is made or not as the class says, and succeeds; nothing is left open;
//! and the messages of a neighbour on the same supervisor flow as if nothing had happened.

mod chance;
mod ending;
mod frames;
mod ground;
mod masking;
mod opening;
mod overload;
mod reaching;
mod shortage;
mod silence;
mod stage;
