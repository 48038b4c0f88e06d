//! Bytes as the answers of a server to a whole case, which is played by calls.

#[path = "../../tests/support/hostile/mod.rs"]
pub(crate) mod hostile;

use std::cell::RefCell;
use std::collections::BTreeMap;

use hostile::{Bench, Mode};

thread_local! {
    // What a version needs is made once.
    static BENCHES: RefCell<BTreeMap<u8, Bench>> = const { RefCell::new(BTreeMap::new()) };
}

/// The first byte says the version and what is played; see `Bench::play`.
pub fn answers(data: &[u8]) {
    let Some(first) = data.first() else { return };
    BENCHES.with_borrow_mut(|benches| {
        let bench = benches.entry(first & 3).or_insert_with(|| Bench::new(first & 3));
        if let Err(why) = bench.play(&Mode::Calls, data) {
            panic!("{why}");
        }
    });
}
