//! Whole lives of a table, played through from one seed: clock, chance, schedule and
//! faults of a fake stream and a fake catalog, and between them the real boundary, tail,
//! core, resolver, commit decision and commit protocol of two processes.
//!
//! What must hold is in [`crate::invariants`]; that each of them can fail, and by which
//! mistake, is in `MUTATIONS.md` beside this module. A history that fails is told by one
//! line that plays it again.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

mod catalog;
mod checks;
mod committer;
mod random;
mod replica;
mod rows;
mod stream;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use world::World;

/// Histories that every test run plays.
const HISTORIES: u64 = 1_000;
/// Steps of a history.
const STEPS: u32 = 160;
/// Threads that play.
const PLAYERS: u64 = 2;

/// Plays one history; what did not hold, where something did not.
fn play(seed: u64, told: bool) -> Result<(), String> {
    let history = || -> Result<(), String> {
        let mut world = World::new(seed);
        for step in 0..STEPS {
            let did = world.step().map_err(|v| format!("step {step}: {v}"))?;
            if told {
                println!("{step:4} {did}");
            }
        }
        world.finish().map_err(|v| format!("at its end: {v}"))
    };
    catch_unwind(AssertUnwindSafe(history)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

#[expect(clippy::disallowed_methods, reason = "a test is a program")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// A seed that no run before had.
#[expect(clippy::disallowed_methods, reason = "a test is a program")]
fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos() % u128::from(u64::MAX)).unwrap()
}

#[test]
fn every_history_holds_every_invariant() {
    if let Some(seed) = number("SPRINGTIDE_SIM_SEED") {
        if let Err(violation) = play(seed, true) {
            panic!("SPRINGTIDE_SIM_SEED={seed} make sim  # {violation}");
        }
        return;
    }
    let histories = number("SPRINGTIDE_SIM_HISTORIES").unwrap_or(HISTORIES);
    let fresh = fresh_seed();
    println!("simulation: seeds 1 to {}, and {fresh}", histories - 1);
    let (next, failed) = (AtomicU64::new(1), Mutex::new(None::<(u64, String)>));
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at > histories || failed.lock().is_some() {
                        return;
                    }
                    let seed = if at == histories { fresh } else { at };
                    if let Err(violation) = play(seed, false) {
                        let mut failed = failed.lock();
                        if failed.as_ref().is_none_or(|(first, _)| seed < *first) {
                            *failed = Some((seed, violation));
                        }
                    }
                }
            });
        }
    });
    if let Some((seed, violation)) = failed.into_inner() {
        panic!("SPRINGTIDE_SIM_SEED={seed} make sim  # {violation}");
    }
    println!("simulation: {histories} histories in {:?}", began.elapsed());
}
