//! Unix-domain sockets before they reach the reactor, as libuv 1.51 `src/unix/pipe.c` does.

use std::ffi::OsStr;
use std::mem::offset_of;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::tcp::{Attempt, Slot};
use crate::sys::{Errno, errno_of};

/// Bytes of a name that the kernel's address has room for.
pub const NAME_BYTES: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path);

fn socket() -> Result<OwnedFd, Errno> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None).map(OwnedFd::from).map_err(|error| errno_of(&error))
}

/// The address of a name: a path, which holds no NUL, or with a leading one an abstract name, in which they are bytes like others.
fn address(name: &[u8]) -> Result<SockAddr, Errno> {
    let is_abstract = name.first() == Some(&0);
    if name.len() > NAME_BYTES || (!is_abstract && name.contains(&0)) {
        return Err(-libc::EINVAL);
    }
    // SAFETY: the closure only writes inside the storage, which is larger than a sockaddr_un, and tells the length
    // it wrote; socket2 zeroes the storage first.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let un = storage.cast::<libc::sockaddr_un>();
            (*un).sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).expect("small");
            std::ptr::copy_nonoverlapping(name.as_ptr(), (&raw mut (*un).sun_path).cast(), name.len());
            let used = if is_abstract || name.is_empty() { offset_of!(libc::sockaddr_un, sun_path) + name.len() } else { size_of::<libc::sockaddr_un>() };
            *length = libc::socklen_t::try_from(used).expect("small");
            Ok(())
        })
    }
    .map_err(|error| errno_of(&error))?;
    Ok(address)
}

/// Binds a new socket to a name; the path to unlink when it closes is returned with it.
///
/// # Errors
/// The negative errno; a missing directory is `EACCES`, as on every platform of libuv.
pub fn bind(name: &[u8]) -> Result<(OwnedFd, Option<PathBuf>), Errno> {
    let address = address(name)?;
    let fd = socket()?;
    SockRef::from(&fd).bind(&address).map_err(|error| match errno_of(&error) {
        errno if errno == -libc::ENOENT => -libc::EACCES,
        errno => errno,
    })?;
    let path = (!name.is_empty() && name[0] != 0).then(|| PathBuf::from(OsStr::from_bytes(name)));
    Ok((fd, path))
}

/// Begins to connect to a name. Every failure of `connect` itself is an outcome, reported later.
///
/// # Errors
/// Only what making the socket or the address reports.
pub fn connect(slot: &mut Slot, name: &[u8]) -> Result<Attempt, Errno> {
    let address = address(name)?;
    if slot.0.is_none() {
        slot.0 = Some(socket()?);
    }
    let fd = slot.0.as_ref().expect("made above").as_fd();
    Ok(super::tcp::begin(fd, &address).unwrap_or_else(Attempt::Ended))
}
