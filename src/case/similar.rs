//! "Did you mean": the nearest of the words that would have been right.

/// More candidates are not looked at, so that a file full of errors is read in linear time.
const MOST: usize = 256;
/// Longer words are nobody's typing error.
const LONGEST: usize = 64;

/// The candidate most like `word`, if any is like it at all.
pub fn similar<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let (score, candidate) = candidates
        .into_iter()
        .take(MOST)
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .max_by(|(one, first), (other, second)| one.total_cmp(other).then(second.cmp(first)))?;
    (score >= 0.8).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_that_somebody_could_have_meant_is_suggested() {
        assert_eq!(similar("DMA_MPA", ["DMA_MAP", "DMA_UNMAP"]), Some("DMA_MAP"));
        assert_eq!(similar("dma_map", ["DMA_MAP"]), Some("DMA_MAP"));
        assert_eq!(similar("VERSION", ["DMA_MAP", "DMA_UNMAP"]), None);
        assert_eq!(similar("DMA_MAP", []), None);
        let long = "a".repeat(LONGEST);
        assert_eq!(similar(&long, [long.as_str()]), Some(long.as_str()));
        let longer = "a".repeat(LONGEST + 1);
        assert_eq!(similar(&longer, [longer.as_str()]), None);
    }
}
