//! A process without descriptors: what waits on the listener is shed, and once some are free again it accepts.
//! The test runs itself in a child process, whose limit is its own.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use common::{CHOICES, CLOSE, Loop, READ_START};
use tsloop_core::command::NOTIFY;
use tsloop_core::event::Op;

const ROLE: &str = "TSLOOP_TEST_CHOICE";
/// Descriptors that the child may have beyond those it starts with.
const SPARE: usize = 16;
const PEERS: usize = 64;

/// An echo server under a limit, until it is told to quit; then it says what it shed.
fn serve(choice: usize) {
    let mut this = Loop::new(CHOICES[choice]);
    let (_, address) = this.listen();
    // Whatever else opens descriptors has opened them by now.
    let limit = libc::rlimit { rlim_cur: (common::descriptors() + SPARE) as u64, rlim_max: 4096 };
    // SAFETY: a local of the right type.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    writeln!(std::io::stderr(), "PORT {}", address.port()).expect("a parent that listens");
    let mut quits = false;
    this.until("the word to quit", |this, happened| {
        if happened.is(Op::Accept) {
            this.ask(READ_START, happened.accepted(), 0, 0);
        } else if happened.is(Op::Data) {
            quits = happened.bytes == b"quit";
            this.write(happened.id, &happened.bytes, 0);
        } else if happened.is(Op::ReadEnd) {
            this.ask(CLOSE, happened.id, 0, NOTIFY);
        }
        quits
    });
    writeln!(std::io::stderr(), "SHED {}", this.core.stats().0.shed).expect("a parent that listens");
}

/// Exchanges a word; false when the connection was shed.
fn talks(stream: &mut TcpStream, word: &[u8]) -> bool {
    let mut answer = vec![0; word.len()];
    stream.write_all(word).is_ok() && stream.read_exact(&mut answer).is_ok() && answer == word
}

fn number(lines: &mut impl Iterator<Item = std::io::Result<String>>, name: &str) -> u64 {
    let line = lines.map_while(Result::ok).find(|line| line.starts_with(name)).expect("the child says it");
    line[name.len()..].trim().parse().expect("a number")
}

#[test]
fn what_waits_is_shed_and_later_peers_are_served() {
    if let Ok(choice) = std::env::var(ROLE) {
        return serve(choice.parse().expect("an index"));
    }
    for choice in 0..CHOICES.len() {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "what_waits_is_shed_and_later_peers_are_served", "--nocapture"])
            .env(ROLE, choice.to_string())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(number(&mut lines, "PORT ")).expect("a port")));
        let connect = || {
            let stream = TcpStream::connect(address).expect("to connect");
            stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
            stream
        };
        let mut peers: Vec<TcpStream> = (0..PEERS).map(|_| connect()).collect();
        let served = peers.iter_mut().map(|peer| talks(peer, b"word")).filter(|talks| *talks).count();
        assert!(served > 0 && served < PEERS, "{served} of {PEERS} were served");
        drop(peers);
        // Descriptors come back when the child has seen that their peers left.
        let deadline = std::time::Instant::now() + common::PATIENCE;
        while !talks(&mut connect(), b"quit") {
            assert!(std::time::Instant::now() < deadline, "nobody is served any more");
        }
        let shed = number(&mut lines, "SHED ");
        assert!(shed >= (PEERS - served) as u64, "{shed} were shed");
        assert!(child.wait().expect("a status").success());
    }
}
