//! What one line of a case does.

use super::{Bytes, Expression, Span, Spanned};

/// A name that a case gives: of a label, an end, a descriptor.
pub type Name = Spanned<String>;

/// In what state a case's session starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Given {
    /// Connected and negotiated as QEMU does it (the default, written by leaving it out).
    #[default]
    Negotiated,
    /// `given connected`: nothing was sent.
    Connected,
    /// `given twin`: negotiated with a twin socket, which is the end `twin`.
    Twin,
    /// `given nothing`: not even connected.
    Nothing,
}

/// `with NAME = VALUE..`: a parameter and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct With {
    /// Its name.
    pub name: Name,
    /// Its values: integers, words or quoted text, as written.
    pub values: Vec<Spanned<Value>>,
}

/// One line, or an `if` block. Equality ignores where it stands.
#[derive(Debug, Clone)]
pub struct Step {
    /// Comment lines before it, without `#`.
    pub comments: Vec<String>,
    /// The line, without the line break.
    pub span: Span,
    /// What it does.
    pub kind: StepKind,
    /// `[DMAP-05]`: the requirements that it checks; none makes it set-up.
    pub requirements: Vec<Spanned<String>>,
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.comments == other.comments && self.kind == other.kind && self.requirements == other.requirements
    }
}

/// What a line does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// `let ram = memfd 0x4000`, `let n = {target.num_regions}+1`.
    Let(Name, Descriptor),
    /// `client b`, `client b connected`: a further connection, negotiated unless it says `connected`.
    Client(Name, Given),
    /// `server b`: a further server of the target, with a client that is negotiated.
    Server(Name),
    /// `close`, `close b`: closes the client's end.
    Close(Option<Name>),
    /// `shutdown`, `shutdown b`: no more will be sent; answers can still come.
    Shutdown(Option<Name>),
    /// `> ..`.
    Send(Send),
    /// `< ..`.
    Expect(Expect),
    /// `device dma-write iova=0x10000 length=16`, `device b: raise-irq`: makes the device act, by the device file.
    Device(Option<Name>, DeviceAction, Vec<Argument>),
    /// `save state chunk=7`, `save b: state`: reads the device's migration data until no more comes.
    Save(Option<Name>, Name, Vec<Argument>),
    /// `restore b: state chunk=4096`: writes as migration data what `save` read.
    Restore(Option<Name>, Name, Vec<Argument>),
    /// `truncate ram 0x1000`: cuts a memfd off at that many bytes.
    Truncate(Name, Expression),
    /// `baseline`: remembers how many descriptors the server has open, for `< fds baseline`.
    Baseline,
    /// `signal TERM`: sends a signal to the server that the harness started.
    Signal(Name),
    /// `serve ..`: how the client answers DMA_READ and DMA_WRITE from here on.
    Serve(Serve),
    /// `await DMA_READ count<=4`: a command of the server must come (it is answered unless `serve hold`).
    Await(Name, Vec<Condition>),
    /// `ring LABEL offset=8`: signals the descriptor of the first sub-region of that DEVICE_GET_REGION_IO_FDS reply of
    /// which this is true, as KVM does for a guest's write.
    Ring(Name, Vec<Condition>),
    /// `do NAME key=value`: a procedure.
    Do(Name, Vec<Argument>),
    /// `if LABEL ok` .. `end`: the steps run only where that message was answered with success.
    If(Name, Vec<Step>),
}

/// What `let` makes. All but integers are open descriptors.
#[derive(Debug, Clone, PartialEq)]
pub enum Descriptor {
    /// An integer.
    Integer(Expression),
    /// `memfd SIZE`: zeroed, sealable memory.
    Memfd(Expression),
    /// `memfd SIZE readonly`: the same, opened for reading only.
    MemfdReadOnly(Expression),
    /// `eventfd`, `eventfd COUNT`: blocking, with that counter.
    Eventfd(Option<Expression>),
    /// `socketpair`: one end goes to the server, the other shows signals (8 bytes each) and closing.
    Socketpair,
    /// `socketpair closed`: an end whose other end is closed.
    SocketpairClosed,
    /// `pipe`: the writing end goes to the server.
    Pipe,
    /// `pipe closed`: a pipe whose reading end is closed.
    PipeClosed,
    /// `null`: /dev/null, opened for reading and writing.
    Null,
    /// `directory`.
    Directory,
}

/// `> [end.][label:] COMMAND key=value ..`.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// `>+`: in one write with the send before it.
    pub joined: bool,
    /// On which end; the first client's where absent.
    pub end: Option<Name>,
    /// For `<` lines and `{label.field}`.
    pub label: Option<Name>,
    /// What is sent.
    pub subject: Subject,
    /// Fields and everything else said of it.
    pub arguments: Vec<Argument>,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A command by its name.
    Message(Name),
    /// `command 999`: a command by its number.
    Number(Expression),
    /// `raw BYTES`.
    Raw(Bytes),
    /// `{command}`: the sample's command, in `for every command`.
    Sample,
}

/// `key=value`, or a bare word.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// A field of the request; `write`, `entry` (each of several), `writes`, `entries` (how often they all stand); `header.id`,
    /// `header.command`, `header.size`, `header.type`, `header.flags`, `header.error`; `no_reply` (bare); `payload` (a size,
    /// `+N` or `-N`); `cut`; `data`; `json`; `ranges`; `fd`, `fds`; `times`.
    pub key: Spanned<String>,
    /// Its value.
    pub value: Spanned<Value>,
}

/// The value of an argument or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A bare word has none.
    Flag,
    /// An integer.
    Integer(Expression),
    /// `+16`: relative to what it would be.
    Plus(Expression),
    /// `-4` where a size is asked for: relative to what it would be. Elsewhere a leading `-` is an [`Expression`].
    Minus(Expression),
    /// `eventfd|trigger`, `rw`, `none`, `dma`: one word or several joined by `|`.
    Words(Vec<Spanned<String>>),
    /// `a,b*3`: names, each with how often it is meant.
    Names(Vec<(Name, Option<Expression>)>),
    /// `8,16`: integers.
    Integers(Vec<Expression>),
    /// `0x10000:0x2000,0x100000000:0x1000`: ranges of IOVAs.
    Ranges(Vec<Range>),
    /// `hex:..`, `fill:..`, `u32:..`, `pattern:..`, `'..'`, with `,` between several.
    Bytes(Bytes),
    /// `0:0x1000:u32:7`: a write of REGION_WRITE_MULTI.
    Write(Box<Write>),
}

/// `REGION:OFFSET:BYTES`: a write of REGION_WRITE_MULTI. Its count is the number of bytes, of which it holds 8 at the most.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Which region.
    pub region: Expression,
    /// Offset into the region.
    pub offset: Expression,
    /// What is written.
    pub data: Bytes,
}

/// `IOVA:LENGTH`, `IOVA:LENGTH:COUNT:DISTANCE`: a range of IOVAs, or several of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// First IOVA.
    pub iova: Expression,
    /// Bytes.
    pub length: Expression,
    /// How many of them, and how far each begins behind the one before.
    pub repeated: Option<(Expression, Expression)>,
}

/// `< ..`.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// `< [end.][label:] ok argsz=16 or error or closed, note silent`: the outcome of a command; without a label the
    /// oldest one on that end that no line has asked for yet.
    Answer {
        /// On which end.
        end: Option<Name>,
        /// Which command.
        label: Option<Name>,
        /// What may come.
        outcomes: Outcomes,
    },
    /// `< fd a signalled 2`, `< fd a quiet`, `< fd a closed`, `< fd a conforms`.
    Fd(Name, FdExpectation),
    /// `< ram[0x10..0x18] == hex:..`: the bytes come to be this before the deadline. With `stays` in place of `==` they are
    /// this, and are so a while later.
    Memory(Memory, Bytes),
    /// `< seal ram ok`, `< seal ram busy`, `< seal ram conforms`: whether F_SEAL_WRITE can be added to the memfd.
    Seal(Name, SealExpectation),
    /// `< fds baseline`: the server's open descriptors come back to as many as at `baseline`.
    FdsBaseline,
    /// `< exited`: the server ends before the deadline.
    Exited,
    /// `< device done`, `< device failed`, `< device done, note failed`: by the status register of the device file.
    Device(DeviceExpectation),
    /// `< same one two`: what two `save` lines read is the same.
    Same(Name, Name),
    /// `< sub-region LABEL offset=8 size=4`: that DEVICE_GET_REGION_IO_FDS reply has a sub-region of which this is true.
    SubRegion(Name, Vec<Condition>),
    /// `< counted 1`: the register of the device file's counter comes to have counted so many, and no more.
    Counted(Expression),
    /// `< mapped LABEL == BYTES offset=..`: what the region of that DEVICE_GET_REGION_INFO reply holds, by mmap().
    Mapped(Name, Vec<Argument>, Option<Bytes>),
}

/// What the device says of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceExpectation {
    /// It is done.
    Done,
    /// It is done; that it failed is noted, and is no violation.
    DoneOrNoted,
    /// It failed.
    Failed,
}

/// What may come for a command.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcomes {
    /// What conforms.
    pub conforms: Vec<Spanned<Outcome>>,
    /// `, note ..`: what is noted, and is no violation.
    pub note: Vec<Spanned<Outcome>>,
}

/// One outcome of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// `ok` and conditions on the reply: a successful reply.
    Ok(Vec<Condition>),
    /// `error`, `error EEXIST`: a reply with the Error bit.
    Error(Option<Name>),
    /// `closed`: the server closed the connection.
    Closed,
    /// `silent`: no reply, though a later command was answered.
    Silent,
    /// `conforms`: whatever the model permits.
    Conforms,
}

/// `argsz>=16`, `data=hex:00`, `payload=16`, `fds=0`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// A field of the reply; `header.flags`, `header.error`; `payload` and `data.length` (bytes); `data`; `pages`; `fds` (how
    /// many).
    pub field: Spanned<String>,
    /// How they must relate.
    pub relation: Relation,
    /// The value on the right.
    pub value: Spanned<ConditionValue>,
}

/// The right side of a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum ConditionValue {
    /// An integer.
    Integer(Expression),
    /// Bits of a flags field by name, `|` between them.
    Words(Vec<Spanned<String>>),
    /// Bytes.
    Bytes(Bytes),
    /// Pages of a bitmap; `none` for no page at all.
    Pages(Vec<Pages>),
}

/// Pages of the range that a bitmap is about, counted from its start.
#[derive(Debug, Clone, PartialEq)]
pub enum Pages {
    /// `7`.
    One(Expression),
    /// `0..16`: the end is exclusive.
    Span(Expression, Expression),
    /// `last`.
    Last,
}

/// How a field must relate to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`.
    Equal,
    /// `!=`.
    Unequal,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    Greater,
    /// `>=`.
    AtLeast,
    /// `&`: has all of these bits.
    Has,
    /// `!&`: has none of these bits.
    HasNone,
}

impl Relation {
    /// Whether `value` relates so to `wanted`.
    pub fn holds(self, value: u64, wanted: u64) -> bool {
        match self {
            Relation::Equal => value == wanted,
            Relation::Unequal => value != wanted,
            Relation::Less => value < wanted,
            Relation::AtMost => value <= wanted,
            Relation::Greater => value > wanted,
            Relation::AtLeast => value >= wanted,
            Relation::Has => value & wanted == wanted,
            Relation::HasNone => value & wanted == 0,
        }
    }
}

/// What is expected of a descriptor that the server was given.
#[derive(Debug, Clone, PartialEq)]
pub enum FdExpectation {
    /// `signalled`, `signalled N`: so many signals come before the deadline (1 where absent), and no more are there.
    Signalled(Option<Expression>),
    /// `quiet`: no signal is there.
    Quiet,
    /// `stays quiet`: nor does one come for a while.
    StaysQuiet,
    /// `closed`: the server holds it no longer (socketpair and pipe).
    Closed,
    /// `conforms`: whatever the model permits in the state that the session is in.
    Conforms,
}

/// Whether F_SEAL_WRITE can be added to a memfd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealExpectation {
    /// `ok`: it can: the server holds no writable mapping of it.
    Ok,
    /// `busy`: it cannot: the server holds one.
    Busy,
    /// `conforms`: whatever the model permits in the state that the session is in.
    Conforms,
}

/// `ram[START..END]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// The memfd.
    pub name: Name,
    /// First byte.
    pub start: Expression,
    /// One past the last byte.
    pub end: Expression,
    /// It is looked at once more a while later.
    pub stays: bool,
}

/// What the device can be made to do, by the device file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAction {
    /// `dma-write iova=.. length=.. pattern=..`.
    DmaWrite,
    /// `dma-read iova=.. length=..`.
    DmaRead,
    /// `raise-irq index=.. vector=..`.
    RaiseIrq,
}

/// How the client serves DMA_READ and DMA_WRITE.
#[derive(Debug, Clone, PartialEq)]
pub enum Serve {
    /// `serve memory`: from the mapped memory (the default).
    Memory,
    /// `serve hold`: not at all, until another `serve` line.
    Hold,
    /// `serve error EFAULT`: with an error.
    Error(Name),
    /// `serve next key=value`: the next reply alone, with these changes: `header.id=+1`, `address=+1`, `count=+1`, `data=-1`
    /// (shorter), `payload=12`, `header.type=0`, `header.flags`, `header.size`.
    Next(Vec<Argument>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_holds_as_its_sign_says() {
        let holding = |wanted, values: [u64; 4]| {
            use Relation::{AtLeast, AtMost, Equal, Greater, Has, HasNone, Less, Unequal};
            let all = [Equal, Unequal, Less, AtMost, Greater, AtLeast, Has, HasNone];
            all.map(|relation| values.map(|value| u8::from(relation.holds(value, wanted))))
        };
        #[rustfmt::skip]
        assert_eq!(
            holding(6, [5, 6, 7, 8]),
            [[0, 1, 0, 0], [1, 0, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 1]]
        );
    }

    #[test]
    fn a_step_is_the_same_wherever_it_stands_but_not_with_another_part() {
        let step = |comment: &str, kind, requirement: &str, start| {
            let span = Span { start, end: start };
            let requirements = vec![Spanned::new(requirement.to_owned(), span)];
            Step { comments: vec![comment.to_owned()], span, kind, requirements }
        };
        let one = step("a", StepKind::Baseline, "INFO-01", 0);
        assert_eq!(one, step("a", StepKind::Baseline, "INFO-01", 9));
        assert_ne!(one, step("b", StepKind::Baseline, "INFO-01", 0));
        assert_ne!(one, step("a", StepKind::Close(None), "INFO-01", 0));
        assert_ne!(one, step("a", StepKind::Baseline, "INFO-02", 0));
    }
}
