//! The load generator behind `npm run bench`.
//!
//! One process drives one cell: `tsloop-loadgen MODE --option value …`, and prints one line of JSON when its window is
//! over. It runs on one thread and shares the machine with the server it measures, so every mode is written to cost
//! little per operation: prepared requests, one clock reading per answer, no allocation inside the window.
//!
//! Modes: `http`, `echo`, `connect`, `websocket`, `bulk`, `burst`, `storm`, `idle`, `serve`, `udp-echo`,
//! `udp-flood`, `udp-sink`, `meter`.
//! `bench/README.md` says which cell uses which.

mod args;
mod bulk;
mod burst;
mod connection;
mod cpu;
mod datagram;
mod drive;
mod exchange;
mod histogram;
mod idle;
mod serve;
mod storm;
mod target;
mod tls;
mod transport;
mod websocket;
mod window;

use std::io::{self, Write};
use std::process::ExitCode;

use args::Args;

fn run() -> io::Result<String> {
    let mut words = std::env::args().skip(1);
    let mode = words.next().unwrap_or_default();
    let args = Args::parse(words)?;
    match mode.as_str() {
        "http" | "echo" | "connect" | "websocket" => drive::run(&mode, &args),
        "bulk" => bulk::run(&args),
        "burst" => burst::run(&args),
        "storm" => storm::run(&args),
        "idle" => idle::run(&args),
        "serve" => serve::run(&args),
        "udp-echo" => datagram::echo(&args),
        "udp-flood" => datagram::flood(&args),
        "udp-sink" => datagram::sink(&args),
        "meter" => Ok(cpu::Meter::new(&args)?.read()?.json()),
        _ => Err(args::bad(format!("unknown mode {mode:?}"))),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(line) => match writeln!(io::stdout().lock(), "{line}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            // Nothing is left to tell if standard error is gone too: the exit code still says it.
            let _ = writeln!(io::stderr().lock(), "tsloop-loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}
