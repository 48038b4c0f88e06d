//! Whatever is fed to the case language: no panic, and what is printed means what it meant.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use vfio_user_conformance::case::{
    Bytes, Case, Context, Descriptor, Expect, Expression, FdExpectation, Range, SealExpectation, Send, Source, Span,
    Spanned, Step, StepKind, Subject, Value, With, Write, check, parse, print,
};
use vfio_user_wire::V0_9_2;

fn source(text: &str) -> Source {
    Source { name: "generated.case".to_owned(), text: text.to_owned() }
}

/// Parses, checks, renders what is wrong; the cases, if it is nothing.
fn read(text: &str) -> Option<Vec<Case>> {
    let context = Context {
        dialect: &V0_9_2,
        requirement: &|id| Some(id.len() % 2 == 0),
        similar_requirement: &|_| None,
        procedure: &|_| false,
        similar_procedure: &|_| None,
        samples: false,
    };
    let source = source(text);
    let (cases, diagnostics) = match parse(&source) {
        Ok(cases) => {
            let diagnostics = check(&cases, &context);
            (Some(cases), diagnostics)
        }
        Err(diagnostics) => (None, diagnostics),
    };
    for diagnostic in diagnostics {
        assert!(diagnostic.render(&source, false).starts_with("error: "));
        diagnostic.render(&source, true);
        let (line, column) = diagnostic.line_column(&source);
        assert!(line >= 1 && column >= 1);
    }
    cases
}

fn round_trip(text: &str) {
    let Some(cases) = read(text) else { return };
    let printed = print(&cases);
    let again = parse(&source(&printed)).unwrap_or_else(|errors| panic!("{printed}\n{errors:?}"));
    assert_eq!(cases, again, "{printed}");
    assert_eq!(print(&again), printed);
}

fn real() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cases.md")).unwrap();
    let blocks = text.split("```case\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect::<Vec<_>>().join("\n")
}

/// Pieces of the language, put where they do not belong.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        " ",
        "\n",
        "\n\n",
        "# c\n",
        "# c\u{b}\n",
        "'",
        "\\",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        ",",
        ":",
        ".",
        "|",
        "=",
        "!=",
        "<",
        ">",
        "& ",
        "*",
        "+",
        "-",
        "..",
        "case x\n",
        "if a ok\n",
        "end\n",
        "or ",
        "note ",
        "hex:",
        "fill:",
        "data=",
        "{i}",
        "{a.data}",
        "fds=",
        "ranges=1:2:3:4,",
        "pages=0,2..4,last",
        "payload=-",
        "payload=+",
        "cut=1,2",
        "times=3",
        "\r\n",
        "\t",
        "é",
        "\u{2028}",
        "99999999999999999999",
        "0x",
        "client b\n",
        "< ok\n",
        "with x = 1\n",
        "-(1+2)*3",
        "'\\x80\\n'",
    ];
    prop_oneof![4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::default())
}

/// Any expression, however it nests: what cannot be written without parentheses is written with them.
fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        (any::<u64>(), any::<bool>()).prop_map(|(value, hex)| Expression::Number { value, hex }),
        "[a-z][a-z0-9_.-]{0,6}".prop_map(|name| Expression::Name(spanned(name))),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        let pair = (inner.clone(), inner.clone()).prop_map(|(left, right)| (Box::new(left), Box::new(right)));
        prop_oneof![
            inner.prop_map(|inner| Expression::Negative(Box::new(inner))),
            pair.clone().prop_map(|(left, right)| Expression::Sum(left, right)),
            pair.clone().prop_map(|(left, right)| Expression::Difference(left, right)),
            pair.prop_map(|(left, right)| Expression::Product(left, right)),
        ]
    })
}

fn step(kind: StepKind) -> Step {
    Step { comments: Vec::new(), span: Span::default(), kind, requirements: Vec::new() }
}

#[test]
fn real_cases_round_trip() {
    let real = real();
    assert!(read(&real).is_some());
    round_trip(&real);
}

#[test]
fn what_conforms_is_left_to_the_model() {
    let text = "case a\nlet a = eventfd\nlet ram = memfd 4\n< fd a conforms\n< seal ram conforms\n< seal ram busy\n";
    let cases = parse(&source(text)).unwrap();
    let name = |name: &str| spanned(name.to_owned());
    let expected = [
        Expect::Fd(name("a"), FdExpectation::Conforms),
        Expect::Seal(name("ram"), SealExpectation::Conforms),
        Expect::Seal(name("ram"), SealExpectation::Busy),
    ];
    let steps: Vec<Step> = expected.map(|expect| step(StepKind::Expect(expect))).into();
    assert_eq!(cases[0].steps[2..], steps);
    assert_eq!(print(&cases), text);
}

#[test]
fn deep_and_long_expressions_are_refused_or_read() {
    for text in
        ["(".repeat(100_000), "1+".repeat(100_000), "-".repeat(100_000), "{".repeat(100_000), "[".repeat(100_000)]
    {
        round_trip(&format!("case a\nlet n = {text}1\n< ok x={text}\n"));
    }
}

#[test]
fn each_expression_of_a_list_has_parts_of_its_own() {
    let longest = format!("1{}", "+1".repeat(63));
    let list = |length: &str| format!("case a\n> a: DEVICE_GET_INFO cut={length},{length}\n");
    assert!(parse(&source(&list(&longest))).is_ok());
    assert!(parse(&source(&list(&format!("{longest}+1")))).is_err());
}

#[test]
fn a_large_file_is_read_in_linear_time() {
    // Each of these lines is wrong in its own way; a quadratic reader would take minutes.
    let lines: String =
        (0..50_000).map(|i| format!("> l{i}: DEVICE_GET_INFO argsz={{m{i}.x}}\n< n{i}: ok or silent\n")).collect();
    let source = source(&format!("case a\n{lines}"));
    let cases = parse(&source).unwrap();
    let context = Context {
        dialect: &V0_9_2,
        requirement: &|_| None,
        similar_requirement: &|_| None,
        procedure: &|_| false,
        similar_procedure: &|_| None,
        samples: false,
    };
    assert!(check(&cases, &context).len() >= 100_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_program_made_is_printed_as_it_is_meant(one in expression(), two in expression(), bytes in any::<Vec<u8>>()) {
        let argument = |key: &str, value| vfio_user_conformance::case::Argument { key: spanned(key.to_owned()), value: spanned(value) };
        let names = vec![(spanned("n".to_owned()), Some(two.clone()))];
        let write = Write { region: one.clone(), offset: two.clone(), data: Bytes::Integer(4, one.clone()) };
        let range = |repeated| Range { iova: one.clone(), length: two.clone(), repeated };
        let arguments = vec![
            argument("payload", Value::Minus(one.clone())),
            argument("argsz", Value::Plus(two.clone())),
            argument("cut", Value::Integers(vec![one.clone(), two.clone()])),
            argument("fds", Value::Names(names)),
            argument("data", Value::Bytes(Bytes::Fill(one.clone(), two.clone()))),
            argument("write", Value::Write(Box::new(write))),
            argument("ranges", Value::Ranges(vec![range(None), range(Some((two.clone(), one.clone())))])),
        ];
        let send = |subject, arguments| Send { joined: true, end: None, label: Some(spanned("l".to_owned())), subject, arguments };
        let case = Case {
            comments: vec!["first".to_owned(), String::new()],
            name: spanned("a.b-c".to_owned()),
            needs: vec![spanned("dma".to_owned())],
            given: Default::default(),
            with: vec![With { name: spanned("w".to_owned()), values: vec![spanned(Value::Integer(two.clone()))] }],
            every_command: true,
            every_channel: false,
            profiles: Vec::new(),
            steps: vec![
                step(StepKind::Let(spanned("n".to_owned()), Descriptor::Integer(one))),
                step(StepKind::Send(send(Subject::Raw(Bytes::Text(bytes)), Vec::new()))),
                step(StepKind::If(spanned("l".to_owned()), vec![step(StepKind::Send(send(Subject::Number(two), arguments)))])),
            ],
            trailing: vec!["last".to_owned()],
        };
        let cases = vec![case.clone(), case];
        let printed = print(&cases);
        prop_assert_eq!(parse(&source(&printed)), Ok(cases), "{}", printed);
    }

    #[test]
    fn arbitrary_text_does_no_harm(text in any::<String>()) {
        round_trip(&text);
    }

    #[test]
    fn pieces_of_the_language_do_no_harm(pieces in prop::collection::vec(piece(), 0..40)) {
        round_trip(&format!("case a\n> {}", pieces.concat()));
        round_trip(&pieces.concat());
    }

    #[test]
    fn mutated_cases_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), 0..8usize, piece()), 1..4)) {
        let mut text = real();
        for (at, removed, piece) in changes {
            let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let from = *at.get(&starts);
            let to = starts.iter().copied().find(|start| *start >= from + removed).unwrap_or(text.len());
            text.replace_range(from..to, &piece);
        }
        round_trip(&text);
        // Most of the whole has an error somewhere; most of its single cases have none.
        text.split("\n\n").for_each(round_trip);
    }
}
