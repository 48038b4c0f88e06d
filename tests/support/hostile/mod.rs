//! A server that sends whatever bytes can be sent: the reference server's answers, and what a script of bytes makes of them.
//!
//! A script is data alone: proptest draws and shrinks it, a fuzzer makes it, and a line of hexadecimal plays it again. Behind
//! its end the server is honest, so that a session gets deep before something goes wrong, or again after it.
#![allow(dead_code, unused_imports, reason = "helpers of tests and of fuzz targets, of which each uses some")]

mod called;
mod capability;
mod commands;
mod files;
mod json;
mod lie;
mod played;
mod remote;
mod script;
mod server;
mod threaded;

pub(crate) use called::Called;
pub(crate) use files::Kept;
pub(crate) use played::{Bench, Mode, served};
pub(crate) use remote::{Remote, serve};
pub(crate) use script::{Script, hex, unhex};
pub(crate) use server::{Hostile, Out, hostile_replies};
pub(crate) use threaded::serve_hostile;
