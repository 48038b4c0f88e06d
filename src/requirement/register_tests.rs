use super::*;
use crate::requirement::explain;

const POLICY: &str = r#"
[[policy]]
id = "A-36"
topic = "a bad message"
text = "The text does not say whether to answer."
ruling = "An error reply and a close both conform."
"#;

const HEADER: &str = r#"
[section]
id = "HDR"
title = "Header"
lines = "334-352"

[[requirement]]
id = "HDR-17"
level = "implied"
profiles = "all"
cites = [{ section = "Header", lines = "433" }, { section = "Security", lines = "315-317" }]
text = "The size of a message counts its 16-byte header, so a size below 16 is never executed as a command."
stimulus = "A command whose header.size is 0, 1 or 15."
conforms = "An error reply, or the connection is closed."
note = "The message is dropped in silence and the next command is served."
violation = "The command is executed, or the stream is out of step afterwards."
needs = []
failure = "violation"
policy = ["A-36"]
reviewed = true

[[requirement]]
id = "HDR-18"
level = "SHOULD"
profiles = "all"
cites = [{ section = "Header", lines = "12", text = "L" }]
text = "The server should answer."
stimulus = "A command."
conforms = "A reply."
needs = ["RR"]
failure = "info"
failure_reason = "Nothing can be said against silence here."
policy = []
reviewed = false
untestable = "Nobody can see it."
"#;

fn parse(header: &str) -> Result<Register, RegisterError> {
    Register::parse(&[("hdr.toml".to_owned(), header.to_owned()), ("policy.toml".to_owned(), POLICY.to_owned())])
}

fn refusal(header: &str) -> String {
    parse(header).unwrap_err().to_string()
}

#[test]
fn the_bundled_register_is_sound() {
    let register = Register::bundled().unwrap_or_else(|error| panic!("{error}"));
    assert!(register.requirements().count() > 500);
    assert!(register.sections().count() > 30);
    assert_eq!(register.sha256().len(), 64);
    for requirement in register.requirements() {
        assert!(!requirement.cites.is_empty(), "{} cites nothing", requirement.id);
        assert!(!requirement.text.is_empty() && !requirement.conforms.is_empty(), "{} says nothing", requirement.id);
    }
}

#[test]
fn a_requirement_knows_its_section_and_clause() {
    let register = parse(HEADER).unwrap();
    let requirement = register.get("HDR-17").unwrap();
    assert_eq!(requirement.section, "HDR");
    assert_eq!(requirement.clause(), "Header 433; Security 315-317");
    assert!(!requirement.report_only());
    assert!(register.get("HDR-18").unwrap().report_only());
    assert_eq!(register.policy("A-36").unwrap().topic, "a bad message");
    assert!(register.get("HDR-19").is_none());
}

#[test]
fn an_unknown_key_is_refused_with_file_line_and_id() {
    let error = refusal(&HEADER.replace("note = ", "notes = "));
    assert!(error.starts_with("hdr.toml:15: HDR-17: unknown field `notes`, expected one of `id`, `level`"), "{error}");
    let error = refusal(&HEADER.replace("title =", "titel ="));
    assert!(error.starts_with("hdr.toml:4: HDR: unknown field `titel`"), "{error}");
}

#[test]
fn a_wrong_value_is_refused_with_its_key() {
    let error = refusal(&HEADER.replace("\"SHOULD\"", "\"should\""));
    assert!(
        error.starts_with("hdr.toml:24: HDR-18: level: unknown variant `should`, expected one of `MUST`"),
        "{error}"
    );
    let error = refusal(&HEADER.replace("reviewed = false", "reviewed = \"no\""));
    assert_eq!(error, "hdr.toml:34: HDR-18: reviewed: invalid type: string \"no\", expected a boolean");
}

#[test]
fn a_missing_key_is_refused_with_the_id() {
    let error = refusal(&HEADER.replace("stimulus = \"A command.\"\n", ""));
    assert!(error.contains("HDR-18: missing field `stimulus`"), "{error}");
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let error = refusal(&HEADER.replace("needs = [\"RR\"]", "needs = [\"RR\""));
    assert!(error.starts_with("hdr.toml:"), "{error}");
}

#[test]
fn two_entries_with_one_id_are_refused() {
    assert_eq!(refusal(&HEADER.replace("HDR-18", "HDR-17")), "hdr.toml: HDR-17 is already defined in hdr.toml");
}

#[test]
fn an_id_of_another_section_is_refused() {
    assert_eq!(
        refusal(&HEADER.replace("HDR-18", "VER-18")),
        "hdr.toml: VER-18 does not begin with the id of the file's section, HDR"
    );
    let without = HEADER.split_once("[[").map(|(_, rest)| format!("[[{rest}")).unwrap();
    assert_eq!(refusal(&without), "hdr.toml: HDR-17 has no section: the file lacks [section]");
}

#[test]
fn a_policy_that_is_not_there_is_refused() {
    assert_eq!(refusal(&HEADER.replace("A-36", "A-99")), "hdr.toml: HDR-17: policy: there is no A-99");
}

#[test]
fn a_class_that_is_not_the_default_needs_its_reason() {
    let without = HEADER.replace("failure_reason = \"Nothing can be said against silence here.\"\n", "");
    assert_eq!(
        refusal(&without),
        "hdr.toml: HDR-18: failure_reason is missing: `failure` is not the default of the level"
    );
}

#[test]
fn similar_ids_are_found_whatever_their_case() {
    let register = parse(HEADER).unwrap();
    assert_eq!(register.similar("hdr17"), ["HDR-17", "HDR-18"]);
    assert_eq!(register.similar("hdr-18"), ["HDR-18", "HDR-17"]);
    assert!(register.similar("something else").is_empty());
}

#[test]
fn the_hash_depends_on_the_texts_and_not_on_their_order() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let one = Register::parse(&[file("hdr.toml", HEADER), file("policy.toml", POLICY)]).unwrap();
    let other = Register::parse(&[file("policy.toml", POLICY), file("hdr.toml", HEADER)]).unwrap();
    assert_eq!(one.sha256(), other.sha256());
    assert_ne!(one.sha256(), parse(&HEADER.replace("A command.", "One command.")).unwrap().sha256());
}

#[test]
fn explain_says_all_that_the_register_says() {
    let register = parse(HEADER).unwrap();
    let text = explain(register.get("HDR-17").unwrap(), &register);
    assert_eq!(
        text,
        "\
HDR-17  implied
            The size of a message counts its 16-byte header, so a size below 16 is never executed as
            a command.
section     Header (HDR)
clause      vfio-user 0.9.2, Header, line 433
            vfio-user 0.9.2, Security, lines 315-317
            (vfio-user 0.9.2, docs/vfio-user.rst of libvfio-user before commit d7cb436)
profiles    all
stimulus    A command whose header.size is 0, 1 or 15.
conforms    An error reply, or the connection is closed.
note        The message is dropped in silence and the next command is served.
violation   The command is executed, or the stream is out of step afterwards.
failure     A plain miss is a violation.
policy      A-36, a bad message
            The text: The text does not say whether to answer.
            The ruling: An error reply and a close both conform.
"
    );
    let text = explain(register.get("HDR-18").unwrap(), &register);
    assert!(text.contains("failure     A plain miss is only reported: Nothing can be said against silence here.\n"));
    assert!(text.contains("untestable  Nobody can see it.\n"));
    assert!(text.contains("reviewed    no: the text has not been checked"));
}
