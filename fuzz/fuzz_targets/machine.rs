//! Any history of a connection, stale and impossible events among it: the state machine keeps its
//! promises. The script and the promises stand in `src/lifecycle/machine/script.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| wsvisor::fuzzing::run_machine(script));
