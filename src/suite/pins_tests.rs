use super::*;

#[test]
fn an_entry_names_one_case_by_its_name_or_by_a_glob_of_nothing_else() {
    assert!(names("a.b/{\"x\":[1]}", "a.b/{\"x\":[1]}"));
    assert!(names(&literal("a.b/*\\0"), "a.b/*\\0"));
    assert!(!names("a.*", "a.b"));
}
