//! Datagrams, many to a system call.

use std::fmt;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use super::{Errno, last_errno};
use crate::limits::{RECEIVE_MESSAGES, SEND_MESSAGES};

/// Largest datagram there is, and a cache line: slots a power of two apart would all fall into the same cache sets.
const STRIDE: usize = 64 * 1024 + 64;

/// Words of a control message with a small number in it.
const CONTROL_WORDS: usize = 4;
const CONTROL_BYTES: usize = CONTROL_WORDS * 8;

/// `UDP_GRO` of `linux/udp.h`.
const UDP_GRO: libc::c_int = 104;

/// `UDP_SEGMENT` of `linux/udp.h`.
const UDP_SEGMENT: libc::c_int = 103;

/// What one `recvmmsg` fills, made once per environment. Memory that was never filled is never there.
pub struct Receiver {
    memory: Box<[u8]>,
    names: Box<[libc::sockaddr_storage]>,
    _vectors: Box<[libc::iovec]>,
    control: Box<[[u64; CONTROL_WORDS]]>,
    headers: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers in the headers point into the boxes beside them, which nobody else knows.
unsafe impl Send for Receiver {}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl Default for Receiver {
    fn default() -> Self {
        let mut memory = vec![0; STRIDE * RECEIVE_MESSAGES].into_boxed_slice();
        // SAFETY: an address of no family is all zeroes.
        let mut names = vec![unsafe { MaybeUninit::<libc::sockaddr_storage>::zeroed().assume_init() }; RECEIVE_MESSAGES].into_boxed_slice();
        let mut control = vec![[0_u64; CONTROL_WORDS]; RECEIVE_MESSAGES].into_boxed_slice();
        let base = memory.as_mut_ptr();
        let mut vectors: Box<[libc::iovec]> = (0..RECEIVE_MESSAGES)
            // SAFETY: inside the memory just made.
            .map(|index| libc::iovec { iov_base: unsafe { base.add(index * STRIDE) }.cast(), iov_len: STRIDE })
            .collect();
        let headers = (0..RECEIVE_MESSAGES)
            .map(|index| {
                let mut header = empty_header();
                header.msg_hdr.msg_name = (&raw mut names[index]).cast();
                header.msg_hdr.msg_iov = &raw mut vectors[index];
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_namelen = socklen(size_of::<libc::sockaddr_storage>());
                header.msg_hdr.msg_control = control[index].as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
                header
            })
            .collect();
        Self { memory, names, _vectors: vectors, control, headers }
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: null pointers and zero lengths are what a header without anything has.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// One datagram, or several of one length from one peer that the kernel has joined.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// From whom.
    pub peer: SocketAddr,
    /// Length of each datagram but the last, which may be shorter.
    segment: usize,
}

impl<'a> Received<'a> {
    /// The datagrams, one by one.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let empty = bytes.is_empty().then_some(bytes);
        empty.into_iter().chain(bytes.chunks(self.segment))
    }
}

impl Receiver {
    /// `recvmmsg(2)`: how many messages came, at most [`RECEIVE_MESSAGES`].
    ///
    /// # Errors
    /// The negative errno; `EAGAIN` when nothing is there, `ECONNREFUSED` and its like for an ICMP error.
    pub fn receive(&mut self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let count = libc::c_uint::try_from(RECEIVE_MESSAGES).expect("small");
        loop {
            // SAFETY: headers point into memory of ours, of the lengths they say, all of it alive.
            let received = unsafe { libc::recvmmsg(fd.as_raw_fd(), self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _, ptr::null_mut()) };
            if let Ok(received) = usize::try_from(received) {
                return Ok(received);
            }
            let errno = last_errno();
            if errno != -libc::EINTR {
                return Err(errno);
            }
        }
    }

    /// One of the messages of the last call; none if its address is no internet address. Its header is made ready for
    /// the next call, so each is taken once.
    pub fn take(&mut self, index: usize) -> Option<Received<'_>> {
        let header = &mut self.headers[index];
        let name_length = std::mem::replace(&mut header.msg_hdr.msg_namelen, socklen(size_of::<libc::sockaddr_storage>()));
        let segment = segment_of(&header.msg_hdr);
        header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        debug_assert_eq!(size_of_val(&self.control[index]), CONTROL_BYTES);
        let length = (header.msg_len as usize).min(STRIDE);
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: both are a `sockaddr_storage`, and the kernel filled this one.
        unsafe { *storage.view_as::<libc::sockaddr_storage>() = self.names[index] };
        // SAFETY: the length is the one that the kernel told.
        let peer = unsafe { SockAddr::new(storage, name_length) }.as_socket()?;
        let at = index * STRIDE;
        Some(Received { bytes: &self.memory[at..at + length], peer, segment: segment.unwrap_or(STRIDE) })
    }
}

fn socklen(length: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(length).expect("small")
}

/// What the kernel joined: the length of each datagram.
fn segment_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the control memory and its length are what the kernel left; the macro stays inside them.
    let message = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() }?;
    if message.cmsg_level != libc::SOL_UDP || message.cmsg_type != UDP_GRO {
        return None;
    }
    // SAFETY: a message of this type carries an int, which lies inside the memory.
    let segment = unsafe { libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned() };
    usize::try_from(segment).ok().filter(|segment| *segment > 0)
}

/// Has the kernel join datagrams of one length from one peer on their way up, or not.
///
/// # Errors
/// The negative errno of a kernel that cannot.
pub fn set_joining(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    super::set_option(fd, libc::SOL_UDP, UDP_GRO, i32::from(on))
}

/// Has the kernel drop whatever arrives (a filter that lets nothing pass), or no longer.
///
/// # Errors
/// The negative errno.
pub fn set_deaf(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    /// `BPF_RET | BPF_K` with zero: no byte passes.
    const NOTHING: libc::sock_filter = libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0 };
    if !on {
        return super::set_option(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0);
    }
    let mut program = [NOTHING];
    super::set_option_value(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &libc::sock_fprog { len: 1, filter: program.as_mut_ptr() })
}

/// One message to send: several datagrams of one length if `segment` says so (the last may be shorter).
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// To whom; none on a connected socket.
    pub peer: Option<SocketAddr>,
    /// Length of each datagram for the kernel to cut (`UDP_SEGMENT`); none for a single one.
    pub segment: Option<u16>,
}

/// `sendmmsg(2)`: how many messages the kernel took, at most [`SEND_MESSAGES`].
///
/// # Errors
/// The negative errno of the first message, when none was taken.
pub fn send(fd: BorrowedFd<'_>, messages: &[Outgoing<'_>]) -> Result<usize, Errno> {
    let messages = &messages[..messages.len().min(SEND_MESSAGES)];
    let mut names: [MaybeUninit<SockAddr>; SEND_MESSAGES] = [const { MaybeUninit::uninit() }; SEND_MESSAGES];
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; SEND_MESSAGES];
    let mut control = [[0_u64; CONTROL_WORDS]; SEND_MESSAGES];
    let mut headers: [MaybeUninit<libc::mmsghdr>; SEND_MESSAGES] = [const { MaybeUninit::uninit() }; SEND_MESSAGES];
    for (index, message) in messages.iter().enumerate() {
        let mut header = empty_header();
        vectors[index] = libc::iovec { iov_base: message.bytes.as_ptr().cast_mut().cast(), iov_len: message.bytes.len() };
        header.msg_hdr.msg_iov = &raw mut vectors[index];
        header.msg_hdr.msg_iovlen = 1;
        if let Some(peer) = message.peer {
            let name = names[index].write(peer.into());
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
        }
        if let Some(segment) = message.segment {
            cut(&mut header.msg_hdr, &mut control[index], segment);
        }
        headers[index].write(header);
    }
    let count = libc::c_uint::try_from(messages.len()).expect("small");
    loop {
        // SAFETY: the first `count` headers were written; what they point to lives across the call and is only read.
        let taken = unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr().cast(), count, 0) };
        if let Ok(taken) = usize::try_from(taken) {
            return Ok(taken);
        }
        let errno = last_errno();
        if errno != -libc::EINTR {
            return Err(errno);
        }
    }
}

/// Asks the kernel to cut a message.
fn cut(header: &mut libc::msghdr, control: &mut [u64; CONTROL_WORDS], segment: u16) {
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: the control memory is aligned and has room for one message with two bytes.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(2) as _;
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(2) as _;
        libc::CMSG_DATA(message).cast::<u16>().write_unaligned(segment);
    }
}

/// What this kernel offers for many datagrams at a time, for `tsloop doctor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// `recvmmsg`: many to a call.
    pub batches: bool,
    /// `UDP_SEGMENT`: groups that it cuts apart.
    pub cuts: bool,
    /// `UDP_GRO`: groups that it has joined.
    pub joins: bool,
}

/// Asks the kernel with a socket of that.
#[must_use]
pub fn offers() -> Offers {
    let Ok(socket) = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP)) else { return Offers::default() };
    let fd = socket.as_fd();
    let batches = Receiver::default().receive(fd) == Err(-libc::EAGAIN);
    Offers { batches, cuts: can_cut(fd), joins: set_joining(fd, true).is_ok() }
}

/// Whether the kernel can cut what a socket sends: it knows the option.
#[must_use]
pub fn can_cut(fd: BorrowedFd<'_>) -> bool {
    super::option(fd, libc::SOL_UDP, UDP_SEGMENT).is_ok()
}

/// Datagrams that the kernel dropped because a socket's buffer was full (`SO_MEMINFO`); 0 where it does not say.
#[must_use]
pub fn dropped(fd: BorrowedFd<'_>) -> u32 {
    const DROPS: usize = 8;
    let mut values = [0_u32; DROPS + 1];
    let mut length = socklen(size_of_val(&values));
    // SAFETY: both pointers are to locals of the sizes told.
    let result = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, values.as_mut_ptr().cast(), &raw mut length) };
    if result == 0 && length as usize > DROPS * 4 { values[DROPS] } else { 0 }
}
