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
