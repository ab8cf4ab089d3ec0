//! Makes a failing plan small: what can go without the failure going goes.

use crate::{plan::Plan, world::run};

/// Runs that shrinking may take.
const BUDGET: usize = 150;

/// A plan that fails as well, with as few moves as were found.
pub(crate) fn shrink(plan: &Plan) -> Plan {
    let mut smallest = plan.clone();
    let mut left = BUDGET;
    let mut chunk = smallest.moves.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < smallest.moves.len() && left > 0 {
            let mut smaller = smallest.clone();
            smaller.moves.drain(at..(at + chunk).min(smaller.moves.len()));
            left -= 1;
            if run(&smaller).violations.is_empty() {
                at += chunk;
            } else {
                smallest = smaller;
            }
        }
        if chunk == 1 || left == 0 {
            return smallest;
        }
        chunk = chunk.div_ceil(2);
    }
}
