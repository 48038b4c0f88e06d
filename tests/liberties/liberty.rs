//! A liberty: something that the specification permits and that the reference server does not do.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use vfio_user_conformance::Profile;
use vfio_user_conformance::target::{Serve, Target};
use vfio_user_reference_server::{Profile as Version, Settings};

use crate::direct::DirectMachine;
use crate::layer::Served;
use crate::wrapper::server_of;

/// A liberty that a server takes.
#[derive(Clone)]
pub(crate) struct Liberty {
    /// What the server does, in a few words with hyphens.
    pub(crate) name: &'static str,
    /// The lines of the specification that permit it, for who reads an accusation.
    pub(crate) lines: &'static str,
    /// The version that its server speaks.
    pub(crate) version: Version,
    /// Cases and requirements that have to do with it; the ordinary ones are played as well.
    pub(crate) cases: Vec<&'static str>,
    /// What must be noted of it, each with the reason.
    pub(crate) notes: Vec<(&'static str, &'static str)>,
    /// The device file says nothing of DMA: the device does none.
    pub(crate) idle: bool,
    pub(crate) kind: Kind,
}

/// Who takes the liberty.
#[derive(Clone)]
pub(crate) enum Kind {
    /// A layer around a machine.
    Layer(Arc<dyn Fn(Served) -> Served + Send + Sync>),
    /// A server that is set otherwise.
    Set(Settings),
    /// The loop around the machine: takes clients until the descriptor becomes readable.
    Loop(fn(UnixListener, OwnedFd)),
}

/// A liberty that a layer around the reference server takes; `take` is called for each server that is started.
pub(crate) fn liberty(
    name: &'static str,
    lines: &'static str,
    take: impl Fn(Served) -> Served + Send + Sync + 'static,
) -> Liberty {
    Liberty::new(name, lines, Kind::Layer(Arc::new(take)))
}

/// One that shows only over a socket.
pub(crate) fn loop_liberty(name: &'static str, lines: &'static str, serve: fn(UnixListener, OwnedFd)) -> Liberty {
    Liberty::new(name, lines, Kind::Loop(serve))
}

/// A reference server that leaves something out.
pub(crate) fn set(name: &'static str, lines: &'static str, settings: impl Into<Settings>) -> Liberty {
    Liberty::new(name, lines, Kind::Set(settings.into()))
}

impl Liberty {
    fn new(name: &'static str, lines: &'static str, kind: Kind) -> Liberty {
        let version = match &kind {
            Kind::Set(settings) => settings.profile,
            _ => Version::V0_9_2,
        };
        Liberty { name, lines, version, cases: Vec::new(), notes: Vec::new(), idle: false, kind }
    }

    /// These cases have to do with it; requirements are named as well.
    pub(crate) fn seen_by(mut self, cases: &[&'static str]) -> Liberty {
        self.cases.extend(cases);
        self
    }

    /// It is worth a note, and no more.
    pub(crate) fn noted(mut self, requirement: &'static str, why: &'static str) -> Liberty {
        self.notes.push((requirement, why));
        self
    }

    /// It is worth a note to each of these.
    pub(crate) fn noted_each(mut self, requirements: &[&'static str], why: &'static str) -> Liberty {
        self.notes.extend(requirements.iter().map(|requirement| (*requirement, why)));
        self
    }

    /// Its device does no DMA.
    pub(crate) fn without_dma(self) -> Liberty {
        Liberty { idle: true, ..self }
    }

    /// Its server speaks this version.
    pub(crate) fn of(self, version: Version) -> Liberty {
        Liberty { version, ..self }
    }
}

/// The version in the harness's words.
pub(crate) fn profile(version: Version) -> Profile {
    version.dialect().name.parse().expect("a version of the harness")
}

/// How servers that take all of these liberties are reached.
pub(crate) fn target(liberties: &[Liberty]) -> Target {
    let names: Vec<&str> = liberties.iter().map(|liberty| liberty.name).collect();
    let version = liberties.first().map_or(Version::V0_9_2, |liberty| liberty.version);
    if let [Liberty { kind: Kind::Loop(serve), name, .. }] = liberties {
        return Target::Thread(Arc::new(InThread { name, serve: *serve }));
    }
    let liberties = liberties.to_vec();
    DirectMachine::target(&names.join(" "), move || {
        let set = liberties.iter().find_map(|liberty| match &liberty.kind {
            Kind::Set(settings) => Some(*settings),
            _ => None,
        });
        let plain: Served = match set {
            Some(settings) => Box::new(vfio_user_reference_server::Server::with(settings)),
            None => Box::new(server_of(version)),
        };
        liberties.iter().fold(plain, |served, liberty| match &liberty.kind {
            Kind::Layer(take) => take(served),
            Kind::Set(_) | Kind::Loop(_) => served,
        })
    })
}

/// A server in a thread.
#[derive(Debug)]
struct InThread {
    name: &'static str,
    serve: fn(UnixListener, OwnedFd),
}

impl Serve for InThread {
    fn serve(&self, listener: UnixListener, stop: OwnedFd) {
        let _ = self.name;
        (self.serve)(listener, stop);
    }
}
