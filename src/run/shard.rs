//! Which part of the cases is played by which `--shard I/N`.

use sha2::{Digest, Sha256};

/// The part, from 1, of `count` parts in which a case is played. Nothing but its name, parameters included, decides, so
/// that it stays there when other cases come or go; and a digest spreads names that are alike, as those of one case's
/// parameters are.
pub fn shard_of(name: &str, count: usize) -> usize {
    let first = Sha256::digest(name).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    let place = first % (count as u64).max(1);
    place as usize + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::Profile;
    use crate::requirement::Register;
    use crate::run::Library;

    #[test]
    fn the_digest_of_the_name_decides() {
        // printf good.info | sha256sum: 033308271c928568..
        assert_eq!(shard_of("good.info", 1 << 16), 0x8568 + 1);
        assert_eq!([1, 2, 3, 4, 5].map(|count| shard_of("good.info", count)), [1, 1, 3, 1, 3]);
        // 5d4aa61214793574..
        assert_eq!([2, 3, 4, 5].map(|count| shard_of("reset.refused", count)), [1, 2, 1, 2]);
    }

    #[test]
    fn no_part_of_the_cases_is_much_larger_than_another() {
        let register = Register::bundled().unwrap();
        let plan = Library::bundled(&register).unwrap().plan(Profile::V0_9_2, &register).unwrap();
        for count in [2, 3, 4, 8] {
            let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
            for case in &plan.cases {
                *sizes.entry(shard_of(&case.name, count)).or_default() += 1;
            }
            let fair = plan.cases.len() as f64 / count as f64;
            assert_eq!(sizes.keys().copied().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
            for (part, size) in sizes {
                assert!((0.75..1.25).contains(&(size as f64 / fair)), "part {part} of {count}: {size} of {fair}");
            }
        }
    }
}
