//! Where chance comes from: proptest strategies, sampled by a generator that the seed and the number settle.

use std::fmt::Debug;

use proptest::sample::select;
use proptest::strategy::{Just, Strategy, Union, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::weights::{Kind, Row};

/// How adventurous a sequence is, so that there are long ones in which every command should succeed, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Mood {
    /// Only what a client may do.
    Calm,
    /// The weights as they stand.
    Mixed,
    /// What a client must not do has three times its weight.
    Wild,
}

/// Samples strategies.
#[derive(Debug)]
pub(super) struct Dice {
    runner: TestRunner,
    pub(super) mood: Mood,
    /// Which odd rows there are in this sequence, a bit each: half of them, so that one that ends every session leaves
    /// room for the others.
    pub(super) odd: u64,
}

impl Dice {
    /// The same seed and number give the same draws.
    pub(super) fn new(seed: u64, number: u64) -> Dice {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(seed.to_le_bytes().into_iter().chain(number.to_le_bytes())) {
            *to = from;
        }
        let config = Config { failure_persistence: None, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Dice { runner: TestRunner::new_with_rng(config, rng), mood: Mood::Mixed, odd: u64::MAX }
    }

    /// A value of `strategy`; `None` only from one that refuses all that it draws.
    pub(super) fn sample<S: Strategy>(&mut self, strategy: S) -> Option<S::Value> {
        strategy.new_tree(&mut self.runner).ok().map(|tree| tree.current())
    }

    /// An integer from `least` to `most`, both included.
    pub(super) fn range(&mut self, least: u64, most: u64) -> u64 {
        self.sample(least..=most.max(least)).unwrap_or(least)
    }

    /// `true` in so many of a hundred draws.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.range(0, 99) < percent
    }

    /// One of several; `None` where there is none.
    pub(super) fn pick<T: Clone + Debug + 'static>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { self.sample(select(items.to_vec())) }
    }

    /// One of several, which are there.
    pub(super) fn one<T: Copy + Debug + 'static, const N: usize>(&mut self, items: [T; N]) -> T {
        const { assert!(N > 0) }
        self.pick(&items).unwrap_or(items[0])
    }

    /// A row by its weight and the mood; `None` where all have weight 0.
    pub(super) fn row<T: Copy + Debug>(&mut self, rows: &[Row<T>]) -> Option<T> {
        let odd = match self.mood {
            Mood::Calm => 0,
            Mood::Mixed => 1,
            Mood::Wild => 3,
        };
        let there = |at: usize| self.odd >> ((at + 5 * rows.len()) % 64) & 1 == 1;
        let weighted = rows.iter().enumerate().map(|(at, (weight, kind, value))| match kind {
            Kind::Plain => (*weight, Just(*value)),
            Kind::Odd if there(at) => (*weight * odd, Just(*value)),
            Kind::Odd => (0, Just(*value)),
        });
        let weighted: Vec<_> = weighted.filter(|(weight, _)| *weight > 0).collect();
        if weighted.is_empty() { None } else { self.sample(Union::new_weighted(weighted)) }
    }
}
