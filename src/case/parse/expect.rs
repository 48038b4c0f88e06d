//! What must come back: the lines that begin with `<`, and conditions.

use super::line::{Line, Token};
use super::value::{self, Cursor, is_name};
use super::{Ends, Result};
use crate::case::similar::similar;
use crate::case::{
    Bytes, Condition, ConditionValue, DeviceExpectation, Expect, FdExpectation, Memory, Outcome, Outcomes, Relation,
    SealExpectation, Span, Spanned, Value,
};

const OUTCOMES: [&str; 5] = ["ok", "error", "closed", "silent", "conforms"];
/// What may stand behind `<` besides outcomes.
const OTHERS: [&str; 9] = ["fd", "fds", "seal", "exited", "device", "same", "sub-region", "counted", "mapped"];
/// Longer ones first.
const RELATIONS: [(&str, Relation); 8] = [
    ("!=", Relation::Unequal),
    ("!&", Relation::HasNone),
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("=", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::Greater),
    ("&", Relation::Has),
];

/// What stands behind `<`.
pub(super) fn expect(line: &mut Line<'_>, ends: &Ends) -> Result<Expect> {
    let first = line.expect_peek("what must come back: ok, error, closed, silent, conforms, fd, seal, ..")?;
    if first.text.ends_with(':') {
        line.next();
        let (end, label) = ends.head(first)?;
        return Ok(Expect::Answer { end, label, outcomes: outcomes(line)? });
    }
    if first.text.contains('[') {
        line.next();
        return memory(first, line);
    }
    if !OTHERS.contains(&first.text) {
        return Ok(Expect::Answer { end: None, label: None, outcomes: outcomes(line)? });
    }
    line.next();
    match first.text {
        "fd" => fd(line),
        "fds" => {
            line.expect_word("baseline")?;
            Ok(Expect::FdsBaseline)
        }
        "seal" => {
            let name = value::name(line.expect("the name of a memfd")?, "a memfd's name")?;
            Ok(Expect::Seal(name, seal(line)?))
        }
        "exited" => Ok(Expect::Exited),
        "device" => Ok(Expect::Device(device(line)?)),
        "same" => {
            let what = "the name of migration data";
            let one = value::name(line.expect(what)?, what)?;
            Ok(Expect::Same(one, value::name(line.expect(what)?, what)?))
        }
        "sub-region" => {
            let label = value::name(line.expect("the label of a DEVICE_GET_REGION_IO_FDS")?, "a label")?;
            Ok(Expect::SubRegion(label, super::step::rest(line, condition)?))
        }
        "counted" => Ok(Expect::Counted(value::expression(line.expect("how often")?)?)),
        _ => mapped(line),
    }
}

fn device(line: &mut Line<'_>) -> Result<DeviceExpectation> {
    let token = line.expect("`done` or `failed`")?;
    match without_comma(token) {
        (Token { text: "done", .. }, true) => {
            line.expect_word("note")?;
            line.expect_word("failed")?;
            Ok(DeviceExpectation::DoneOrNoted)
        }
        (Token { text: "done", .. }, false) => Ok(DeviceExpectation::Done),
        (Token { text: "failed", .. }, false) => Ok(DeviceExpectation::Failed),
        _ => {
            let expected = "expected `done` or `failed`";
            let hint = similar(token.text, ["done", "failed"]);
            Err(token.error(format!("{expected}, found `{}`", token.text), expected).suggest(hint))
        }
    }
}

fn seal(line: &mut Line<'_>) -> Result<SealExpectation> {
    let token = line.expect("`ok`, `busy` or `conforms`")?;
    match token.text {
        "ok" => Ok(SealExpectation::Ok),
        "busy" => Ok(SealExpectation::Busy),
        "conforms" => Ok(SealExpectation::Conforms),
        other => {
            let (expected, words) = ("expected `ok`, `busy` or `conforms`", ["ok", "busy", "conforms"]);
            Err(token.error(format!("{expected}, found `{other}`"), expected).suggest(similar(other, words)))
        }
    }
}

fn fd(line: &mut Line<'_>) -> Result<Expect> {
    let name = value::name(line.expect("the name of a descriptor")?, "a descriptor's name")?;
    let words = ["signalled", "quiet", "stays", "closed", "conforms"];
    let token = line.expect("`signalled`, `quiet`, `stays quiet`, `closed` or `conforms`")?;
    let expectation = match token.text {
        "signalled" => FdExpectation::Signalled(line.next().map(value::expression).transpose()?),
        "quiet" => FdExpectation::Quiet,
        "stays" => {
            line.expect_word("quiet")?;
            FdExpectation::StaysQuiet
        }
        "closed" => FdExpectation::Closed,
        "conforms" => FdExpectation::Conforms,
        other => {
            let expected = "expected `signalled`, `quiet`, `stays quiet`, `closed` or `conforms`";
            return Err(token.error(format!("{expected}, found `{other}`"), expected).suggest(similar(other, words)));
        }
    };
    Ok(Expect::Fd(name, expectation))
}

/// `ram[START..END] == BYTES`, `ram[START..END] stays BYTES`.
fn memory(token: Token<'_>, line: &mut Line<'_>) -> Result<Expect> {
    let bracket = token.text.find('[').unwrap_or(token.text.len());
    let name = value::name(token.part(0, bracket), "a memfd's name")?;
    let mut cursor = Cursor::new(token.part(bracket, token.text.len()));
    cursor.eat("[");
    let start = cursor.expression()?;
    if !cursor.eat("..") {
        return Err(cursor.error("`..` and the end"));
    }
    let end = cursor.expression()?;
    if !cursor.eat("]") {
        return Err(cursor.error("`]`"));
    }
    cursor.finish()?;
    let stays = line.eat("stays");
    if !stays {
        line.expect_word("==")?;
    }
    let bytes = value::bytes(line.expect("bytes")?)?;
    Ok(Expect::Memory(Memory { name, start, end, stays }, bytes))
}

/// `mapped LABEL offset=.. length=.. == BYTES`.
fn mapped(line: &mut Line<'_>) -> Result<Expect> {
    let label = value::name(line.expect("the label of a DEVICE_GET_REGION_INFO")?, "a label")?;
    let mut arguments = Vec::new();
    let mut bytes: Option<Bytes> = None;
    while let Some(token) = line.next() {
        if token.text == "==" {
            bytes = Some(value::bytes(line.expect("bytes")?)?);
            break;
        }
        arguments.push(value::argument(token)?);
    }
    Ok(Expect::Mapped(label, arguments, bytes))
}

fn outcomes(line: &mut Line<'_>) -> Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    if !alternatives(line, &mut outcomes.conforms)? {
        return Ok(outcomes);
    }
    line.expect_word("note")?;
    let last = line.peek();
    if alternatives(line, &mut outcomes.note)? {
        let token = last.unwrap_or(Token { text: ",", span: line.span });
        return Err(token.error("nothing comes after what is noted", "a comma follows"));
    }
    Ok(outcomes)
}

/// Outcomes with `or` between them; whether a comma ended them.
fn alternatives(line: &mut Line<'_>, outcomes: &mut Vec<Spanned<Outcome>>) -> Result<bool> {
    loop {
        let comma = outcome(line, outcomes)?;
        if comma {
            return Ok(true);
        }
        if !line.eat("or") {
            return Ok(false);
        }
    }
}

fn without_comma(token: Token<'_>) -> (Token<'_>, bool) {
    let comma = token.text.ends_with(',');
    (token.part(0, token.text.len() - usize::from(comma)), comma)
}

/// One outcome; whether a comma ends it.
fn outcome(line: &mut Line<'_>, outcomes: &mut Vec<Spanned<Outcome>>) -> Result<bool> {
    let (word, mut comma) = without_comma(line.expect("an outcome: ok, error, closed, silent or conforms")?);
    let mut end = word.span.end;
    let outcome = match word.text {
        "closed" => Outcome::Closed,
        "silent" => Outcome::Silent,
        "conforms" => Outcome::Conforms,
        "error" => {
            let named = line.peek().filter(|next| !comma && next.text != "or");
            let errno = named.map(|token| {
                line.next();
                let (name, ends) = without_comma(token);
                comma = ends;
                end = name.span.end;
                value::word(name, "the name of an errno")
            });
            Outcome::Error(errno.transpose()?)
        }
        "ok" => {
            let mut conditions = Vec::new();
            while let Some(token) = line.peek().filter(|next| !comma && next.text != "or") {
                line.next();
                let (token, ends) = without_comma(token);
                comma = ends;
                end = token.span.end;
                conditions.push(condition(token)?);
            }
            Outcome::Ok(conditions)
        }
        other => {
            let expected = "expected ok, error, closed, silent, conforms, or fd, fds, seal, device, exited, same, \
                            sub-region, counted, mapped";
            let known = OUTCOMES.into_iter().chain(OTHERS);
            return Err(word.error(format!("unknown outcome `{other}`"), expected).suggest(similar(other, known)));
        }
    };
    outcomes.push(Spanned::new(outcome, Span { start: word.span.start, end }));
    Ok(comma)
}

/// `argsz>=16`.
pub(super) fn condition(token: Token<'_>) -> Result<Condition> {
    let length = token.text.find(|c| !is_name(c) && c != '.').unwrap_or(token.text.len());
    let field = token.part(0, length);
    if field.text.is_empty() {
        return Err(token.error("expected a field and what it must be", "expected FIELD=VALUE"));
    }
    let rest = token.part(length, token.text.len());
    let relation = RELATIONS.into_iter().find(|(sign, _)| rest.text.starts_with(sign));
    let Some((sign, relation)) = relation else {
        let rest = if rest.text.is_empty() { token } else { rest };
        let expected = "expected one of = != < <= > >= & !&, without spaces";
        return Err(rest.error(format!("`{}` lacks what it must be", field.text), expected));
    };
    let right = rest.part(sign.len(), rest.text.len());
    let mut cursor = Cursor::new(right);
    let value = condition_value(&mut cursor, field.text)?;
    cursor.finish()?;
    Ok(Condition { field: field.spanned(), relation, value: Spanned::new(value, right.span) })
}

fn condition_value(cursor: &mut Cursor<'_>, field: &str) -> Result<ConditionValue> {
    if cursor.peek() == Some('+') {
        return Err(cursor.error("a value"));
    }
    if field == "pages" {
        return Ok(ConditionValue::Pages(cursor.pages()?));
    }
    // Only `data` tells bytes from integers where a name stands in braces.
    let key = if field == "data" && cursor.peek() == Some('{') { "data" } else { "" };
    match cursor.value(key)? {
        Value::Integer(integer) => Ok(ConditionValue::Integer(integer)),
        Value::Words(words) => Ok(ConditionValue::Words(words)),
        Value::Bytes(bytes) => Ok(ConditionValue::Bytes(bytes)),
        _ => Err(cursor.error("an integer, words or bytes")),
    }
}
