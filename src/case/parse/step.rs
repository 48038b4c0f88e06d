//! The lines that do something, `<` aside.

use super::line::{Line, Token};
use super::value;
use super::{Ends, Result, expect};
use crate::case::similar::similar;
use crate::case::{Argument, Descriptor, DeviceAction, Diagnostic, Given, Name, Send, Serve, StepKind, Subject};

/// What a step can begin with.
pub(super) const STEPS: [&str; 20] = [
    ">", ">+", "<", "let", "client", "server", "close", "shutdown", "device", "save", "restore", "baseline",
    "truncate", "signal", "serve", "await", "ring", "do", "if", "end",
];
const DESCRIPTORS: [&str; 7] = ["memfd", "eventfd", "socketpair", "pipe", "null", "directory", "memfd"];

/// The step that begins with `first`, which was taken; `if` and `end` are the file's.
pub(super) fn step(first: Token<'_>, line: &mut Line<'_>, ends: &mut Ends) -> Result<StepKind> {
    let kind = match first.text {
        ">" => StepKind::Send(send(line, ends, false)?),
        ">+" => StepKind::Send(send(line, ends, true)?),
        "<" => StepKind::Expect(expect::expect(line, ends)?),
        "let" => declare(line)?,
        "client" => client(line, ends)?,
        "server" => StepKind::Server(server(line, ends)?),
        "close" => StepKind::Close(end(line)?),
        "shutdown" => StepKind::Shutdown(end(line)?),
        "device" => device(line)?,
        "save" => {
            let (end, stream) = stream(line)?;
            StepKind::Save(end, stream, arguments(line)?)
        }
        "restore" => {
            let (end, stream) = stream(line)?;
            StepKind::Restore(end, stream, arguments(line)?)
        }
        "baseline" => StepKind::Baseline,
        "truncate" => {
            let name = value::name(line.expect("a memfd")?, "a memfd")?;
            StepKind::Truncate(name, value::expression(line.expect("a size")?)?)
        }
        "signal" => StepKind::Signal(value::word(line.expect("a signal such as TERM")?, "a signal such as TERM")?),
        "serve" => StepKind::Serve(serve(line)?),
        "await" => {
            let command = value::word(line.expect("a command of the server")?, "a command of the server")?;
            StepKind::Await(command, rest(line, expect::condition)?)
        }
        "ring" => {
            let what = "the label of a DEVICE_GET_REGION_IO_FDS";
            let label = value::name(line.expect(what)?, "a label")?;
            StepKind::Ring(label, rest(line, expect::condition)?)
        }
        "do" => {
            let procedure = value::word(line.expect("the name of a procedure")?, "the name of a procedure")?;
            StepKind::Do(procedure, arguments(line)?)
        }
        other => return Err(unknown(first, other)),
    };
    line.finish()?;
    Ok(kind)
}

fn unknown(token: Token<'_>, word: &str) -> Diagnostic {
    let error = token.error(format!("a line cannot begin with `{word}`"), "not a line of a case");
    if word.starts_with(['<', '>']) {
        return error.help("a space stands behind `>`, `>+` and `<`");
    }
    error.suggest(similar(word, STEPS.into_iter().chain(super::HEAD)))
}

pub(super) fn rest<T>(line: &mut Line<'_>, read: fn(Token<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(token) = line.next() {
        all.push(read(token)?);
    }
    Ok(all)
}

fn arguments(line: &mut Line<'_>) -> Result<Vec<Argument>> {
    rest(line, value::argument)
}

fn send(line: &mut Line<'_>, ends: &Ends, joined: bool) -> Result<Send> {
    let what = "what to send: a command, `command NUMBER` or `raw BYTES`";
    let mut token = line.expect(what)?;
    let mut head = (None, None);
    if token.text.ends_with(':') && !token.text.starts_with('\'') {
        head = ends.head(token)?;
        token = line.expect(what)?;
    }
    let subject = match token.text {
        "raw" => Subject::Raw(value::bytes(line.expect("bytes")?)?),
        "command" => Subject::Number(value::expression(line.expect("the number of a command")?)?),
        "{command}" => Subject::Sample,
        _ => Subject::Message(value::word(token, "a command")?),
    };
    let (end, label) = head;
    Ok(Send { joined, end, label, subject, arguments: arguments(line)? })
}

fn declare(line: &mut Line<'_>) -> Result<StepKind> {
    let name = value::name(line.expect("a name")?, "a name")?;
    line.expect_word("=")?;
    let token = line.expect("what it is: memfd, eventfd, socketpair, pipe, null, directory, or an integer")?;
    let descriptor = match token.text {
        "memfd" => {
            let size = value::expression(line.expect("a size")?)?;
            if line.eat("readonly") { Descriptor::MemfdReadOnly(size) } else { Descriptor::Memfd(size) }
        }
        "eventfd" => Descriptor::Eventfd(line.next().map(value::expression).transpose()?),
        "socketpair" if line.eat("closed") => Descriptor::SocketpairClosed,
        "socketpair" => Descriptor::Socketpair,
        "pipe" if line.eat("closed") => Descriptor::PipeClosed,
        "pipe" => Descriptor::Pipe,
        "null" => Descriptor::Null,
        "directory" => Descriptor::Directory,
        other if other.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            let expected = "expected memfd, eventfd, socketpair, pipe, null, directory, or an integer";
            return Err(token
                .error(format!("`let` cannot make `{other}`"), expected)
                .suggest(similar(other, DESCRIPTORS)));
        }
        _ => Descriptor::Integer(value::expression(token)?),
    };
    Ok(StepKind::Let(name, descriptor))
}

fn client(line: &mut Line<'_>, ends: &mut Ends) -> Result<StepKind> {
    let name = value::name(line.expect("a name")?, "an end's name")?;
    let given = if line.eat("connected") { Given::Connected } else { Given::Negotiated };
    ends.declare(&name);
    Ok(StepKind::Client(name, given))
}

fn server(line: &mut Line<'_>, ends: &mut Ends) -> Result<Name> {
    let name = value::name(line.expect("a name")?, "an end's name")?;
    ends.declare(&name);
    Ok(name)
}

/// `b:`, where the line goes on so.
fn of_end(line: &mut Line<'_>) -> Result<Option<Name>> {
    let Some(token) = line.peek().filter(|token| token.text.ends_with(':')) else { return Ok(None) };
    line.next();
    value::name(token.part(0, token.text.len() - 1), "an end's name").map(Some)
}

/// `state`, `b: state`.
fn stream(line: &mut Line<'_>) -> Result<(Option<Name>, Name)> {
    let end = of_end(line)?;
    let what = "a name for the migration data";
    Ok((end, value::name(line.expect(what)?, what)?))
}

fn end(line: &mut Line<'_>) -> Result<Option<Name>> {
    line.next().map(|token| value::name(token, "an end's name")).transpose()
}

fn device(line: &mut Line<'_>) -> Result<StepKind> {
    let end = of_end(line)?;
    let token = line.expect("`dma-write`, `dma-read` or `raise-irq`")?;
    let action = match token.text {
        "dma-write" => DeviceAction::DmaWrite,
        "dma-read" => DeviceAction::DmaRead,
        "raise-irq" => DeviceAction::RaiseIrq,
        other => {
            return Err(token
                .error(format!("the device cannot be made to `{other}`"), "expected dma-write, dma-read or raise-irq")
                .suggest(similar(other, ["dma-write", "dma-read", "raise-irq"])));
        }
    };
    Ok(StepKind::Device(end, action, arguments(line)?))
}

fn serve(line: &mut Line<'_>) -> Result<Serve> {
    let token = line.expect("`memory`, `hold`, `error` or `next`")?;
    match token.text {
        "memory" => Ok(Serve::Memory),
        "hold" => Ok(Serve::Hold),
        "error" => {
            let what = "the name of an errno";
            Ok(Serve::Error(value::word(line.expect(what)?, what)?))
        }
        "next" => {
            let first = value::argument(line.expect("what is changed in the next reply")?)?;
            let mut all = vec![first];
            all.append(&mut arguments(line)?);
            Ok(Serve::Next(all))
        }
        other => Err(token
            .error(format!("DMA cannot be served by `{other}`"), "expected memory, hold, error or next")
            .suggest(similar(other, ["memory", "hold", "error", "next"]))),
    }
}
