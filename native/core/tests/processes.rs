//! Children: what they get, how their end is told, what starting one answers, and that nothing of them stays behind.

mod common;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use common::{Bench, CLOSE, Loop, READ_START, SHUTDOWN};
use tsloop_core::command::op::TELL_AGAIN;
use tsloop_core::command::{self, NOTIFY, OPEN_PROCESS, OPEN_STREAM, WATCHED};
use tsloop_core::event::Op;
use tsloop_core::process::{Outcome, Program, Stdio, spawn};
use tsloop_core::sys::process::{Started, Status, kill, reap};
use tsloop_core::table::Id;

/// A program in a shell's words, with nothing of ours.
fn shell<'a>(arguments: &'a [&'a CStr], environment: &'a [&'a CStr], stdio: &'a [Stdio]) -> Program<'a> {
    Program { file: c"/bin/sh", arguments, environment, directory: None, stdio, detached: false, user: None, group: None }
}

const SILENT: &[Stdio] = &[Stdio::Ignore, Stdio::Ignore, Stdio::Ignore];
const PIPES: &[Stdio] = &[Stdio::Pipe, Stdio::Pipe, Stdio::Pipe];

fn run(script: &CStr) -> Started {
    spawn(&shell(&[c"sh", c"-c", script], &[], SILENT)).process.expect("a shell")
}

fn ends(outcome: Outcome) -> (Started, Vec<(usize, UnixStream)>) {
    let pipes = outcome.pipes.into_iter().map(|(number, pipe)| (number, UnixStream::from(pipe))).collect();
    (outcome.process.expect("to start"), pipes)
}

fn wait(child: &Started) -> Status {
    let mut entry = libc::pollfd { fd: child.descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, a local.
    assert_eq!(unsafe { libc::poll(&raw mut entry, 1, 30_000) }, 1, "the child ends");
    reap(child.descriptor.as_fd()).expect("ours").expect("ended")
}

/// What a program wrote to its output, which is a pipe, until it ended, and how it ended.
fn output(request: &Program<'_>) -> (String, Status) {
    let (child, pipes) = ends(spawn(request));
    let mut text = String::new();
    let (_, pipe) = pipes.iter().find(|(number, _)| *number == 1).expect("a pipe");
    (&*pipe).read_to_string(&mut text).expect("its output");
    (text, wait(&child))
}

fn failure(request: &Program<'_>) -> i32 {
    spawn(request).process.map(|_| ()).expect_err("it cannot start")
}

/// A place for files of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tsloop-processes-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> CString {
        let path = self.0.join(name);
        // By a child: were the file open for writing here, one that another test forks could hold it (ETXTBSY).
        std::fs::write(&path, text).expect("to write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        text_of(&path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text_of(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no zeros")
}

#[test]
fn output_comes_through_pipes_and_the_end_through_its_descriptor() {
    let _alone = common::alone();
    let before = common::descriptors();
    let (child, mut pipes) = ends(spawn(&shell(&[c"sh", c"-c", c"cat; echo $0 $A >&2; exit 7"], &[c"A=a"], PIPES)));
    assert_eq!(reap(child.descriptor.as_fd()), Ok(None), "it runs");
    pipes[0].1.write_all(b"through").expect("to write");
    pipes[0].1.shutdown(std::net::Shutdown::Write).expect("to end");
    let (mut out, mut err) = (String::new(), String::new());
    pipes[1].1.read_to_string(&mut out).expect("output");
    pipes[2].1.read_to_string(&mut err).expect("errors");
    assert_eq!((out.as_str(), err.as_str()), ("through", "sh a\n"));
    assert_eq!(wait(&child), Status { code: 7, signal: 0 });
    assert_eq!(reap(child.descriptor.as_fd()), Err(-libc::ECHILD), "reaped once");
    drop((child, pipes));
    common::assert_descriptors(before);
}

#[test]
fn a_child_has_what_it_was_given_and_nothing_else() {
    let _alone = common::alone();
    let (_ours, theirs) = UnixStream::pair().expect("a pair");
    // Whatever else is open here is for us alone.
    let given = Stdio::Descriptor(theirs.as_raw_fd());
    let stdio = [Stdio::Ignore, Stdio::Pipe, Stdio::Ignore, given, Stdio::Ignore, given, Stdio::Pipe];
    let (text, status) = output(&Program { file: c"ls", ..shell(&[c"ls", c"/proc/self/fd"], &[c"PATH=/bin:/usr/bin"], &stdio) });
    assert_eq!(status.code, 0);
    // The directory that it lists is the first free number; whoever started us may have left something open for all.
    let left = std::fs::read_dir("/proc/self/fd").expect("linux").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // SAFETY: a plain call on a number.
    let left = left.filter(|fd: &i32| *fd > 6 && unsafe { libc::fcntl(*fd, libc::F_GETFD) } == 0);
    let mut expected: Vec<i32> = (0..=6).chain(left).collect();
    expected.sort_unstable();
    let mut listed: Vec<i32> = text.lines().map(|line| line.parse().expect("a number")).collect();
    listed.sort_unstable();
    assert_eq!(listed, expected);
    let (text, _) = output(&shell(&[c"sh", c"-c", c"cd /proc/self/fd; readlink 0 2"], &[c"PATH=/bin:/usr/bin"], &stdio));
    assert_eq!(text, "/dev/null\n/dev/null\n");
}

#[test]
fn descriptors_change_places() {
    let _alone = common::alone();
    let scratch = Scratch::new("places");
    let files: Vec<File> = ["a", "b", "c"].map(|name| File::open(scratch.0.join(text_str(&scratch.file(name, name, 0o600)))).expect("a file")).into();
    let number = |index: usize| usize::try_from(files[index].as_raw_fd()).expect("positive");
    let mut stdio = vec![Stdio::Ignore; number(2).max(number(1)).max(number(0)) + 1];
    stdio[1] = Stdio::Pipe;
    // Each to where another one is.
    for (place, index) in [(0, 2), (1, 0), (2, 1)] {
        stdio[number(place)] = Stdio::Descriptor(files[index].as_raw_fd());
    }
    let paths: Vec<CString> = (0..3).map(|index| CString::new(format!("/proc/self/fd/{}", number(index))).expect("no zeros")).collect();
    let arguments = [c"cat", &paths[0], &paths[1], &paths[2]];
    let (text, _) = output(&Program { file: c"cat", ..shell(&arguments, &[c"PATH=/bin:/usr/bin"], &stdio) });
    assert_eq!(text, "cab");
}

fn text_str(path: &CStr) -> &str {
    path.to_str().expect("ours")
}

#[test]
fn a_descriptor_that_does_not_wait_waits_again_for_the_first_three() {
    let _alone = common::alone();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("a flag");
    let stdio = [Stdio::Descriptor(theirs.as_raw_fd()), Stdio::Pipe, Stdio::Ignore];
    let (child, pipes) = ends(spawn(&shell(&[c"sh", c"-c", c"cat"], &[c"PATH=/bin:/usr/bin"], &stdio)));
    drop(theirs);
    (&ours).write_all(b"late").expect("to write");
    drop(ours);
    let mut text = String::new();
    (&pipes[0].1).read_to_string(&mut text).expect("output");
    assert_eq!((text.as_str(), wait(&child).code), ("late", 0));
}

#[test]
fn what_cannot_start_says_why_and_its_pipes_have_ended() {
    let _alone = common::alone();
    let before = common::descriptors();
    let scratch = Scratch::new("errors");
    let plain = scratch.file("plain", "echo no", 0o644);
    let broken = scratch.file("broken", "#!/nonexistent/interpreter\n", 0o755);
    let inside = CString::new(format!("{}/inside", text_str(&plain))).expect("no zeros");
    let long = CString::new(vec![b'x'; 300]).expect("no zeros");
    let huge = CString::new(vec![b'x'; 200_000]).expect("no zeros");
    let asked = |file, errno| (Program { file, ..shell(&[c"it"], &[c"PATH=/nonexistent:/bin"], PIPES) }, errno);
    let mut all = vec![
        asked(c"nonexistent-program", libc::ENOENT),
        asked(c"/nonexistent/program", libc::ENOENT),
        asked(c"", libc::ENOENT),
        asked(&plain, libc::EACCES),
        asked(&broken, libc::ENOENT),
        asked(&inside, libc::ENOTDIR),
        asked(&long, libc::ENAMETOOLONG),
        asked(c"/", libc::EACCES),
    ];
    all.push((Program { directory: Some(c"/nonexistent"), ..shell(&[c"sh"], &[], PIPES) }, libc::ENOENT));
    all.push((Program { directory: Some(&plain), ..shell(&[c"sh"], &[], PIPES) }, libc::ENOTDIR));
    let with_huge = [c"sh", huge.as_c_str()];
    all.push((shell(&with_huge, &[], PIPES), libc::E2BIG));
    let wrong = [Stdio::Pipe, Stdio::Pipe, Stdio::Descriptor(100_000)];
    all.push((shell(&[c"sh"], &[], &wrong), libc::EBADF));
    for (request, errno) in &all {
        let outcome = spawn(request);
        assert_eq!(outcome.process.map(|started| started.pid), Err(-errno), "{:?}", request.file);
        for (_, pipe) in outcome.pipes {
            assert_eq!(UnixStream::from(pipe).read(&mut [0; 8]).expect("an end"), 0);
        }
    }
    common::assert_descriptors(before);
    // SAFETY: a null pointer says that the status is not wanted.
    let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    assert_eq!((left, last_errno()), (-1, libc::ECHILD), "no child is left");
}

fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[test]
fn a_name_is_looked_for_from_the_childs_directory_and_refusals_are_remembered() {
    let _alone = common::alone();
    let scratch = Scratch::new("search");
    for (name, mode) in [("closed", 0o644), ("open", 0o755)] {
        std::fs::create_dir_all(scratch.0.join(name)).expect("a directory");
        scratch.file(&format!("{name}/program"), "#!/bin/sh\necho $0 $1\n", mode);
    }
    let directory = text_of(&scratch.0);
    let stdio = [Stdio::Ignore, Stdio::Pipe, Stdio::Ignore];
    let asked = |environment| Program { file: c"program", directory: Some(&directory), ..shell(&[c"zero", c"one"], environment, &stdio) };
    assert_eq!(output(&asked(&[c"PATH=/nonexistent:closed:open"])).0, "open/program one\n");
    assert_eq!(failure(&asked(&[c"PATH=closed:/nonexistent"])), -libc::EACCES);
    assert_eq!(failure(&asked(&[c"PATH=/nonexistent"])), -libc::ENOENT);
}

#[cfg(not(target_env = "musl"))]
#[test]
fn a_file_without_a_format_goes_to_the_shell() {
    let _alone = common::alone();
    let scratch = Scratch::new("format");
    let file = scratch.file("script", "echo $0 $# $2", 0o755);
    let stdio = [Stdio::Ignore, Stdio::Pipe, Stdio::Ignore];
    let (text, status) = output(&Program { file: &file, ..shell(&[c"zero", c"one", c"two"], &[], &stdio) });
    assert_eq!((text, status.code), (format!("{} 2 two\n", text_str(&file)), 0));
}

#[test]
fn signals_are_as_at_the_start_of_any_program() {
    let _alone = common::alone();
    // What is blocked and ignored here is not in the child.
    // SAFETY: sets of locals; both are taken back below.
    let (mut old, before) = unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        let mut old = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, &raw mut old);
        (old, libc::signal(libc::SIGUSR1, libc::SIG_IGN))
    };
    let stdio = [Stdio::Ignore, Stdio::Pipe, Stdio::Ignore];
    let (text, _) = output(&shell(&[c"sh", c"-c", c"grep -E 'Sig(Blk|Ign)' /proc/self/status"], &[c"PATH=/bin:/usr/bin"], &stdio));
    // SAFETY: see above.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, &raw mut old);
        libc::signal(libc::SIGUSR1, before);
    }
    let sets: Vec<u64> = text.split_whitespace().filter_map(|word| u64::from_str_radix(word, 16).ok()).collect();
    // Of those from 32 on libuv leaves what is ignored, and so do we.
    assert_eq!((sets.len(), sets[0], sets[1] & 0x7fff_ffff), (2, 0, 0), "{text}");
}

#[test]
fn a_signal_ends_a_child_at_any_time_and_one_that_is_stopped_has_not_ended() {
    let _alone = common::alone();
    let child = run(c"kill -STOP $$; exit 3");
    assert_eq!(kill(child.pid, 0), Ok(()));
    assert_eq!(reap(child.descriptor.as_fd()), Ok(None));
    assert_eq!(kill(child.pid, libc::SIGKILL), Ok(()));
    assert_eq!(wait(&child), Status { code: 0, signal: libc::SIGKILL });
    assert_eq!(kill(child.pid, 0), Err(-libc::ESRCH));
    for _ in 0..50 {
        let child = run(c"exit 0");
        kill(child.pid, libc::SIGTERM).expect("a child that nobody has reaped");
        let status = wait(&child);
        assert!(status == Status { code: 0, signal: libc::SIGTERM } || status.code == 0, "{status:?}");
    }
}

#[test]
fn a_status_comes_though_children_are_ignored() {
    let _alone = common::alone();
    // SAFETY: taken back below by `spawn` itself, whose doing this is about.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    assert_eq!(wait(&run(c"exit 5")), Status { code: 5, signal: 0 });
}

#[test]
fn a_session_of_its_own_and_the_user_one_is() {
    let _alone = common::alone();
    let stdio = [Stdio::Ignore, Stdio::Pipe, Stdio::Ignore];
    let session = |detached| {
        let environment = [c"PATH=/bin:/usr/bin"];
        let (text, _) = output(&Program { detached, ..shell(&[c"sh", c"-c", c"cut -d' ' -f1,6 /proc/$$/stat"], &environment, &stdio) });
        let numbers: Vec<i32> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        numbers[0] == numbers[1]
    };
    assert!(session(true) && !session(false));
    // SAFETY: plain calls.
    let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
    let outcome = spawn(&Program { user: Some(user), group: Some(group), ..shell(&[c"sh", c"-c", c"exit 4"], &[], SILENT) });
    assert_eq!(wait(&outcome.process.expect("allowed")).code, 4);
    let other = Program { user: Some(user + 1), ..shell(&[c"sh"], &[], SILENT) };
    if user == 0 {
        assert_eq!(wait(&spawn(&other).process.expect("allowed")).code, 0);
    } else {
        assert_eq!(failure(&other), -libc::EPERM);
    }
}

impl Loop {
    fn child(&mut self, child: Started) -> (Id, i32) {
        let fd = child.descriptor.as_raw_fd();
        (self.open(OPEN_PROCESS, child.descriptor), fd)
    }
}

/// As JavaScript does: the number of a descriptor that the reactor owns.
fn reap_number(fd: i32) -> Option<Status> {
    // SAFETY: open until the reactor is told to close it.
    reap(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }).expect("ours")
}

#[test]
fn a_hundred_at_once_are_told_of_once_each_and_leave_nothing() {
    common::under_every_driver(|this, _| {
        let mut open: Vec<(Id, i32)> = (0..100).map(|_| run(c"exit 9")).map(|child| this.child(child)).collect();
        while !open.is_empty() {
            this.until("an end", |_, happened| {
                let at = open.iter().position(|(id, _)| happened.is(Op::Exited) && *id == happened.id).expect("each once");
                assert_eq!(reap_number(open[at].1), Some(Status { code: 9, signal: 0 }));
                open.swap_remove(at);
                true
            });
        }
        assert_eq!(this.core.stats().0.spawned, 100);
    });
}

#[test]
fn one_that_nobody_wants_to_hear_of_is_reaped_all_the_same() {
    common::under_every_driver(|this, _| {
        let (child, pipes) = ends(spawn(&shell(&[c"sh", c"-c", c"read line"], &[], &[Stdio::Pipe, Stdio::Ignore, Stdio::Ignore])));
        let other = run(c"exit 0");
        let pids = [child.pid, other.pid];
        for child in [child, other] {
            let (id, _) = this.child(child);
            this.ask(CLOSE, id, 0, 0);
        }
        let is_gone = |pid| kill(pid, 0) == Err(-libc::ESRCH);
        this.run_until("the one that ends is gone", |_| is_gone(pids[1]));
        assert!(!is_gone(pids[0]), "the other goes on");
        drop(pipes);
        this.run_until("it is gone too", |_| is_gone(pids[0]));
    });
}

#[test]
fn what_native_code_opens_is_there_at_once_told_of_and_closed_with_the_environment() {
    common::under_every_driver(|this, _| {
        let (ours, peer) = common::pair();
        let child = run(c"exit 5");
        let fd = child.descriptor.as_raw_fd();
        let [stream, none, process] = [0; 3].map(|_| this.core.allocate());
        let mut commands = Vec::new();
        command::append(&mut commands, OPEN_STREAM, stream, ours.into_raw_fd(), WATCHED);
        command::append(&mut commands, OPEN_PROCESS, process, child.descriptor.into_raw_fd(), 0);
        this.core.open_now(&commands);
        let (counts, present) = this.core.stats();
        assert_eq!((counts.spawned, present.streams), (1, 1), "whoever has the seat");
        this.until("its end", |_, happened| happened.is(Op::Exited) && happened.id == process);
        assert!(reap_number(fd).is_some());
        // Nothing brings readiness to a driver that sleeps.
        let mut wrong = Vec::new();
        command::append(&mut wrong, OPEN_STREAM, none, 1_000_000, 0);
        this.core.open_now(&wrong);
        this.until("a descriptor that is none", |_, happened| happened.is(Op::ReadEnd) && (happened.id, happened.a) == (none, -libc::EBADF));
        drop(peer);
    });
}

#[test]
fn what_a_child_wrote_comes_before_its_end() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let outcome = spawn(&shell(&[c"sh", c"-c", c"echo words"], &[], &[Stdio::Ignore, Stdio::Pipe, Stdio::Ignore]));
    let (child, pipes) = ends(outcome);
    let descriptor = child.descriptor.as_raw_fd();
    let process = bench.ids.allocate();
    bench.ask(OPEN_PROCESS, process, child.descriptor.into_raw_fd(), 0, &[]);
    let mut entry = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, a local.
    assert_eq!(unsafe { libc::poll(&raw mut entry, 1, 30_000) }, 1);
    let told = |bench: &mut Bench| {
        bench.batch.clear();
        bench.reactor.turn(Some(&mut bench.batch));
        let told = (0..bench.batch.len()).map(|index| bench.batch.record(index)[0]);
        told.filter(|op| *op != Op::Pressure as i32).collect::<Vec<_>>()
    };
    // Nobody has asked for its words yet: whoever is told may ask for them, and then to be told again.
    assert_eq!(told(&mut bench), [Op::Exited as i32]);
    assert!(!bench.reactor.is_due());
    let pipe = pipes.into_iter().next().expect("one").1;
    pipe.set_nonblocking(true).expect("a flag");
    let stream = bench.ids.allocate();
    bench.ask(OPEN_STREAM, stream, pipe.into_raw_fd(), 0, &[]);
    bench.ask(TELL_AGAIN, process, 0, 0, &[]);
    bench.ask(READ_START, stream, 0, 0, &[]);
    assert!(bench.reactor.is_due());
    // A batch that tells of a shutdown has no room for what is read: then the end waits as well.
    let (ours, _peer) = common::pair();
    let other = bench.ids.allocate();
    bench.ask(OPEN_STREAM, other, ours.into_raw_fd(), 0, &[]);
    bench.ask(SHUTDOWN, other, 0, NOTIFY, &[]);
    assert_eq!(told(&mut bench), [Op::ShutdownDone as i32]);
    assert!(bench.reactor.is_due());
    assert_eq!(told(&mut bench), [Op::Data as i32, Op::ReadEnd as i32, Op::Exited as i32]);
    assert_eq!(reap_number(descriptor), Some(Status { code: 0, signal: 0 }));
}
