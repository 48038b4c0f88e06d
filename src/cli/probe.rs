//! `probe`.

use clap::Args;

use super::options::TargetOptions;
use super::{Failure, limits, setup};
use crate::case::NEEDS;
use crate::report::{ExitCode, harmless};
use crate::target::{Discovered, Has, Launcher, Spoken, probe};

/// Ask a server what it offers.
#[derive(Debug, Args)]
pub(super) struct Probe {
    #[command(flatten)]
    target: TargetOptions,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

impl Probe {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let (target, name) = self.target.target()?;
        let device = self.target.device()?;
        let timeouts = self.target.timeouts();
        limits::prepare(self.target.starts_servers())?;
        let interrupt = setup::interrupt()?;
        let launcher = Launcher::new(target, timeouts.start, self.target.one_at_a_time())
            .map_err(|error| Failure::ours(error.to_string()))?;
        let spoken = self.target.spoken(&launcher, &interrupt)?;
        let found = probe(spoken.profile, &launcher, device.as_ref(), timeouts, &interrupt)
            .map_err(|error| setup::probe_failure(&error))?;
        if self.json {
            let text = serde_json::to_string_pretty(&found).map_err(|error| Failure::ours(error.to_string()))?;
            say!("{text}");
        } else {
            print(&name, &spoken, &found)?;
        }
        Ok(ExitCode::Conforming)
    }
}

fn print(name: &str, spoken: &Spoken, found: &Discovered) -> Result<(), Failure> {
    say!("target    {name}");
    say!("profile   {}: {}", spoken.profile, spoken.why);
    if let Some((major, minor)) = found.version {
        say!("version   {major}.{minor} {}", found.capabilities);
    }
    if let Some(flags) = found.device_flags {
        say!("device    flags {flags:#x}, {} regions, {} interrupt types", found.num_regions, found.num_irqs);
    }
    for region in found.regions.iter().filter(|region| region.size > 0) {
        let sparse = region.sparse.as_ref().map_or_else(String::new, |areas| {
            let areas: Vec<String> = areas.iter().map(|(offset, size)| format!("{offset:#x}+{size:#x}")).collect();
            format!(", areas {}", areas.join(" "))
        });
        say!(
            "region {:<3}{:#x} bytes, flags {:#x}, {} descriptors{sparse}",
            region.index,
            region.size,
            region.flags,
            region.fds
        );
    }
    for irq in found.irqs.iter().filter(|irq| irq.count > 0) {
        say!("irq    {:<3}{} interrupts, flags {:#x}", irq.index, irq.count, irq.flags);
    }
    for need in NEEDS {
        match found.has.get(need.word) {
            Some(Has::Yes(_)) => say!("has       {}", need.word),
            Some(Has::No(why)) => say!("lacks     {}: {why}", need.word),
            None => {}
        }
    }
    for trouble in &found.troubles {
        // What the server printed may be in it.
        let lines: Vec<String> = trouble.lines().map(harmless).collect();
        say!("trouble   {}", lines.join("\n          "));
    }
    Ok(())
}
