//! `--report pcapng=FILE` and `--trace FILE`.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError};

use super::super::collector::Collector;
use super::super::text::{cut, harmless};
use super::super::{Context, Report, Reporter, file};
use super::PseudoHeader;
use crate::Profile;
use crate::run::{End, Event};
use crate::session::{Entry, Way};
use crate::verdict::{CaseRecord, CaseResult, Class};

/// The link type that is left to its users.
const USER0: DataLink = DataLink::USER0;
/// `if_tsresol`: nanoseconds, in which the writer writes.
const NANOSECONDS: u8 = 9;
/// Bits of `epb_flags`: the packet came in, or it went out.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
/// An option of a block has no more than 65,535 bytes; so many characters always fit.
const LONGEST_TEXT: usize = 16_000;

/// Writes the messages of cases as a capture in the pcapng format when the run has ended, be it early: an interface for
/// each connection of each case, and a comment on the message that shows a finding.
///
/// When a message went is not kept: each one stands a microsecond after the one before it.
#[derive(Debug)]
pub struct Pcapng<'a> {
    path: PathBuf,
    collector: Collector<'a>,
    everything: bool,
}

impl<'a> Pcapng<'a> {
    /// Writes the messages of every case to this file.
    pub fn of_everything(path: impl Into<PathBuf>, context: Context<'a>) -> Pcapng<'a> {
        Pcapng { path: path.into(), collector: Collector::of_everything(context), everything: true }
    }

    /// Writes to this file the messages of those cases in which something was found, or which came to no verdict.
    pub fn of_findings(path: impl Into<PathBuf>, context: Context<'a>) -> Pcapng<'a> {
        Pcapng { path: path.into(), collector: Collector::of_findings(context), everything: false }
    }
}

impl Reporter for Pcapng<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.collector.event(event), event) {
            (Some(report), Event::Ended(end)) => self.report(&report, end),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: &Report, _: &End) -> io::Result<()> {
        let wanted = |case: &&CaseRecord| self.everything || tells_something(case);
        let capture = capture(report, report.cases.iter().filter(wanted)).map_err(io::Error::other)?;
        file::write(&self.path, &capture)
    }
}

fn tells_something(case: &CaseRecord) -> bool {
    !case.findings.is_empty() || !matches!(case.result, CaseResult::Pass | CaseResult::Skip)
}

fn capture<'c>(report: &Report, cases: impl Iterator<Item = &'c CaseRecord>) -> Result<Vec<u8>, PcapError> {
    let section = SectionHeaderBlock {
        endianness: Endianness::native(),
        options: vec![
            SectionHeaderOption::OS(text(&report.platform)),
            SectionHeaderOption::UserApplication(text(&format!("{} {}", report.harness.name, report.harness.version))),
            SectionHeaderOption::Comment(text(&report.target.how)),
        ],
        ..SectionHeaderBlock::default()
    };
    let mut writer = PcapNgWriter::with_section_header(Vec::new(), section)?;
    let profile = report.profile.used.parse().unwrap_or_default();
    let (mut interfaces, mut packets) = (0u32, 0u64);
    for case in cases {
        let mut connections: Vec<(&str, &str, u32)> = Vec::new();
        for entry in &case.transcript {
            let (client, channel) = (entry.client.as_str(), entry.channel.as_str());
            let known = connections.iter().find(|(one, other, _)| (*one, *other) == (client, channel));
            let interface = match known {
                Some((_, _, interface)) => *interface,
                None => {
                    writer.write_block(&connection(case, client, channel).into_block())?;
                    connections.push((client, channel, interfaces));
                    interfaces += 1;
                    interfaces - 1
                }
            };
            packets += 1;
            let timestamp = Duration::from_micros(packets);
            writer.write_block(&packet(profile, case, entry, interface, timestamp).into_block())?;
        }
    }
    Ok(writer.into_inner())
}

/// A client's connection, by the name of its case.
fn connection(case: &CaseRecord, client: &str, channel: &str) -> InterfaceDescriptionBlock<'static> {
    let name = match channel {
        "main" => format!("{} {client}", case.name),
        other => format!("{} {client} {other}", case.name),
    };
    let result = format!("{:?}", case.result).to_lowercase();
    let options = vec![
        InterfaceDescriptionOption::IfName(text(&name)),
        InterfaceDescriptionOption::IfDescription(text(&format!("{}:{}: {result}", case.file, case.line))),
        InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
    ];
    InterfaceDescriptionBlock { linktype: USER0, snaplen: 0, options }
}

fn packet(
    profile: Profile,
    case: &CaseRecord,
    entry: &Entry,
    interface: u32,
    timestamp: Duration,
) -> EnhancedPacketBlock<'static> {
    let mut data = PseudoHeader { profile, entry }.bytes();
    let before = data.len();
    data.extend(entry.bytes.as_bytes().chunks_exact(2).map_while(byte));
    let direction = if entry.direction == Way::Received { INBOUND } else { OUTBOUND };
    let mut options = vec![EnhancedPacketOption::Flags(direction)];
    options.extend(comments(case, entry).map(|comment| EnhancedPacketOption::Comment(text(&comment))));
    // A report that was read may say anything of the length.
    let original = before.saturating_add(entry.length).max(data.len());
    EnhancedPacketBlock {
        interface_id: interface,
        timestamp,
        original_len: u32::try_from(original).unwrap_or(u32::MAX),
        data: Cow::Owned(data),
        options,
    }
}

/// What was found in this message, and how it was cut.
fn comments(case: &CaseRecord, entry: &Entry) -> impl Iterator<Item = String> {
    let findings = case.findings.iter().filter(|finding| finding.message == Some(entry.n)).map(|finding| {
        let class = match finding.class {
            Class::Violation => "violated",
            Class::Note => "a note",
        };
        let field = finding.field.as_ref().map_or_else(String::new, |field| format!(" in {}", field.name));
        let (id, actual, expected) = (&finding.requirement, &finding.actual, &finding.expected);
        format!("{id} {class}{field}: got {actual}; expected {expected}")
    });
    let cuts: Vec<String> = entry.cuts.iter().map(usize::to_string).collect();
    let cuts = (!cuts.is_empty()).then(|| format!("sent in pieces that end at {}", cuts.join(", ")));
    findings.chain(cuts)
}

/// A text of an option: it is cut where an option could not hold it.
fn text(text: &str) -> Cow<'static, str> {
    Cow::Owned(cut(&harmless(text), LONGEST_TEXT))
}

/// Two hexadecimal digits.
fn byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
