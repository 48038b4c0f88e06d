//! What a test program is asked for, known before any server is started.

use libtest_mimic::{Arguments, Trial};

use super::pins::TEST;
use super::trials::without_reason;
use crate::requirement::Register;
use crate::run::Library;

/// The name without parameters of the one case that is asked for, as nextest does for each test.
pub(super) fn only(arguments: &Arguments) -> Option<&str> {
    let name = arguments.filter.as_deref().filter(|_| arguments.exact).map(without_reason)?;
    // That test speaks of all cases.
    (name != TEST).then(|| name.split('/').next().unwrap_or(name))
}

/// A file with this text may have the case.
pub(super) fn may_have(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.strip_prefix("case ").is_some_and(|rest| rest.split_whitespace().next() == Some(name)))
}

/// Some test is asked for, whatever version the server speaks.
pub(super) fn admits_any(arguments: &Arguments, library: &Library, register: &Register) -> Result<bool, String> {
    if arguments.filter.is_none() {
        return Ok(true);
    }
    let filter = arguments.filter.as_deref().map(|filter| without_reason(filter).to_owned());
    let arguments = Arguments { filter, ignored: false, ..arguments.clone() };
    let admits = |name: &str| !arguments.is_filtered_out(&Trial::test(name, || Ok(())));
    Ok(admits(TEST) || library.plan_of_all(register)?.cases.iter().any(|case| admits(&case.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Arguments {
        Arguments::from_iter([&["test"], words].concat())
    }

    #[test]
    fn an_exact_name_is_that_of_one_case() {
        assert_eq!(only(&asked(&["--exact", "version.data/{\"a\": 1}"])), Some("version.data"));
        assert_eq!(only(&asked(&["--exact", "[ignored: no reset] reset.twice/main"])), Some("reset.twice"));
        assert_eq!(only(&asked(&["version.data"])), None);
        assert_eq!(only(&asked(&["--exact", TEST])), None);
        assert_eq!(only(&asked(&["--list"])), None);
    }

    #[test]
    fn a_file_is_left_out_only_where_it_cannot_have_the_case() {
        let text = "# Both.\ncase a.b\n> DEVICE_GET_INFO\n\ncase a.bc\n";
        assert!(may_have(text, "a.b") && may_have(text, "a.bc"));
        assert!(!may_have(text, "a") && !may_have(text, "b"));
    }
}
