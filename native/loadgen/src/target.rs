//! Where a connection goes: `--port N` on the loopback address, several as `--port N,N`, or `--unix PATH`.

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
    /// The only address there is.
    pub(crate) fn new(args: &Args) -> io::Result<Self> {
        let mut all = Self::all(args)?;
        match (all.pop(), all.is_empty()) {
            (Some(target), true) => Ok(target),
            _ => Err(bad("one port is needed".to_owned())),
        }
    }

    /// Every address of a server that has several, one at least.
    pub(crate) fn all(args: &Args) -> io::Result<Vec<Self>> {
        if let Some(path) = args.text("unix") {
            return Ok(vec![Self::Unix(PathBuf::from(path))]);
        }
        let list = args.text("port").ok_or_else(|| bad("--port or --unix is needed".to_owned()))?;
        list.split(',').map(Self::port).collect()
    }

    /// The address of the option called `name`, which is one port.
    pub(crate) fn named(args: &Args, name: &str) -> io::Result<Self> {
        Self::port(args.text(name).ok_or_else(|| bad(format!("--{name} is needed")))?)
    }

    fn port(text: &str) -> io::Result<Self> {
        match text.parse() {
            Ok(port) if port > 0 => Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
            _ => Err(bad(format!("not a port: {text:?}"))),
        }
    }
}
