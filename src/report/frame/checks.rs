//! What is looked for in pages, and what is put into them: for tests.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::report::Report;

/// What nobody may get onto the page as it is.
pub(in crate::report) const HOSTILE: &str =
    "</pre></script><script>alert(1)</script><img src=//x onerror=alert(2)>\" ' & \u{1b}[2J\u{202e}\u{0}\r\n\u{2028}";

/// The values of an attribute, in the order of the page.
pub(in crate::report) fn values<'p>(page: &'p str, attribute: &str) -> Vec<&'p str> {
    let (body, start) = (page.split("<body>").nth(1).unwrap(), format!(" {attribute}=\""));
    body.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Each link leads to one place.
#[track_caller]
pub(in crate::report) fn assert_links_lead_somewhere(page: &str) {
    let ids = values(page, "id");
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len(), "an id that stands twice");
    assert!(
        ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))),
        "{ids:?}"
    );
    for attribute in ["href", "for", "aria-labelledby", "data-list"] {
        for value in values(page, attribute).into_iter().filter(|value| attribute != "href" || value.starts_with('#')) {
            for id in value.trim_start_matches('#').split(' ') {
                assert!(distinct.contains(id), "{attribute}=\"{value}\" leads nowhere");
            }
        }
    }
}

/// What the page is made of.
const ELEMENTS: &str = "!DOCTYPE html head meta title link style body a header p h1 h2 h3 h4 h5 nav ul ol li main section dl div dt dd \
    code pre button svg rect span strong details summary br table caption thead tbody tr th td article mark form label select option input \
    output footer script";
const ATTRIBUTES: &str = "html lang charset http-equiv content name rel href class id aria-label aria-labelledby aria-hidden role tabindex \
    hidden type for value autocomplete spellcheck open scope viewBox preserveAspectRatio focusable x y width height data-copy data-list \
    data-status data-section selected colspan";

/// No element, no attribute and no character of anybody else's.
#[track_caller]
pub(in crate::report) fn assert_is_ours(page: &str) {
    let known = |list: &str, word: &str| list.split_whitespace().any(|known| known == word);
    // Style and script have signs in them that would begin an element elsewhere.
    let (head, rest) = page.split_once("<style>").unwrap();
    let (body, end) = rest.split_once("</style>").unwrap().1.rsplit_once("<script>").unwrap();
    for tag in [head, body, end.split_once("</script>").unwrap().1].iter().flat_map(|part| part.split('<').skip(1)) {
        let tag = tag.split_once('>').unwrap_or_else(|| panic!("no end: {tag}")).0;
        // Values stand between quotation marks, and have none.
        let words: Vec<&str> = tag.split('"').step_by(2).flat_map(|part| part.split([' ', '='])).collect();
        let (element, attributes) = words.split_first().unwrap();
        assert!(known(ELEMENTS, element.trim_start_matches('/')), "<{tag}>");
        for attribute in attributes.iter().filter(|attribute| !attribute.is_empty()) {
            assert!(known(ATTRIBUTES, attribute), "<{tag}>");
        }
    }
    for address in values(page, "href") {
        assert!(address.starts_with('#') || address.starts_with("https://example.org/"), "{address}");
    }
    let steering =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    assert_eq!(page.find(steering), None);
}

/// The part of a page from one text on to the next other one.
pub(in crate::report) fn between<'p>(page: &'p str, start: &str, end: &str) -> &'p str {
    let from = page.find(start).unwrap_or_else(|| panic!("no {start}"));
    let rest = page.get(from..).unwrap();
    rest.get(..rest.get(1..).unwrap().find(end).unwrap_or_else(|| panic!("no {end} behind {start}")) + 1).unwrap()
}

/// The words of a part of a page, without its elements.
pub(in crate::report) fn words(part: &str) -> String {
    let text: String = part.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text)).collect();
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts [`HOSTILE`] with a number into every text and every name of the value that may be any; the count of them.
pub(in crate::report) fn poison(report: &Value) -> (Report, usize) {
    fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(path.to_owned()),
            Value::Array(all) => {
                all.iter().enumerate().for_each(|(n, value)| paths(value, &format!("{path}/{n}"), found))
            }
            Value::Object(all) => all.iter().for_each(|(key, value)| {
                paths(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found)
            }),
            _ => {}
        }
    }
    let mut texts = Vec::new();
    paths(report, "", &mut texts);
    let (mut poisoned, mut count) = (report.clone(), 0);
    for (n, path) in texts.iter().enumerate() {
        let text = poisoned.pointer_mut(path).unwrap();
        let before = text.clone();
        *text = Value::String(format!("{HOSTILE}{n}"));
        // Some are words of a closed list.
        if read(&poisoned).is_none() {
            *poisoned.pointer_mut(path).unwrap() = before;
        } else {
            count += 1;
        }
    }
    for map in ["/requirements", "/target/discovered/has"] {
        let map = poisoned.pointer_mut(map).unwrap().as_object_mut().unwrap();
        *map = std::mem::take(map).into_iter().map(|(key, value)| (format!("{HOSTILE}{key}"), value)).collect();
        count += map.len();
    }
    (read(&poisoned).unwrap(), count)
}

pub(in crate::report) fn read(value: &Value) -> Option<Report> {
    Report::deserialize(value).ok()
}
