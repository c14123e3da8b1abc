//! Where a connection goes: `--port N` on the loopback address, or `--unix PATH`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::args::{Args, bad};

/// The address of the server under test.
pub(crate) enum Target {
    /// A port on 127.0.0.1: this program never speaks to another machine.
    Tcp(SocketAddr),
    /// A unix-domain socket.
    Unix(PathBuf),
}

impl Target {
    pub(crate) fn new(args: &Args) -> io::Result<Self> {
        if let Some(path) = args.text("unix") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        match args.number("port", 0)? {
            0 => Err(bad("--port or --unix is needed".to_owned())),
            port => Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
        }
    }
}
