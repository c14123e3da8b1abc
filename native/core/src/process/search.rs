//! Where a program is looked for: `PATH` of the environment that it is to have, as `execvp` reads it.
//!
//! Relative directories stay so: the child looks from its own.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};

use crate::sys::Errno;

/// Where to look without a `PATH`.
#[cfg(not(target_env = "musl"))]
const USUAL: &[u8] = b"/bin:/usr/bin";
#[cfg(target_env = "musl")]
const USUAL: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// Longest name of a file.
const NAME_BYTES: usize = 255;
/// Longest path; a directory that leaves no room for a terminator is passed over.
const PATH_BYTES: usize = 4096;

/// The first value that a list of `NAME=value` has for `PATH`.
fn path_of(environment: &[*const c_char]) -> Option<&[u8]> {
    environment.iter().take_while(|entry| !entry.is_null()).find_map(|entry| {
        // SAFETY: terminated strings that the caller of `spawn` keeps; the list ends at null.
        let entry: &[u8] = unsafe { CStr::from_ptr(*entry) }.to_bytes();
        entry.strip_prefix(b"PATH=")
    })
}

/// The paths to try, in order.
pub(super) fn candidates<'a>(file: &'a CStr, environment: &[*const c_char]) -> Result<Vec<Cow<'a, CStr>>, Errno> {
    let name = file.to_bytes();
    if name.is_empty() {
        return Err(-libc::ENOENT);
    }
    if name.contains(&b'/') {
        return Ok(vec![Cow::Borrowed(file)]);
    }
    if name.len() > NAME_BYTES {
        return Err(-libc::ENAMETOOLONG);
    }
    let join = |directory: &[u8]| {
        let mut path = Vec::with_capacity(directory.len() + name.len() + 2);
        if !directory.is_empty() {
            path.extend_from_slice(directory);
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Cow::Owned(CString::new(path).expect("parts of terminated strings"))
    };
    let directories = path_of(environment).unwrap_or(USUAL).split(|byte| *byte == b':');
    Ok(directories.filter(|directory| directory.len() < PATH_BYTES).map(join).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(file: &CStr, environment: &[&CStr]) -> Result<Vec<String>, Errno> {
        let found = candidates(file, &super::super::listed(environment))?;
        Ok(found.iter().map(|path| path.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_name_is_looked_for_in_the_first_path_of_the_childs_environment() {
        let found = tried(c"ls", &[c"HOME=/", c"PATH=/a:bin::/b", c"PATH=/other"]);
        assert_eq!(found, Ok(["/a/ls", "bin/ls", "ls", "/b/ls"].map(String::from).to_vec()));
        assert_eq!(tried(c"ls", &[c"PATH="]), Ok(vec!["ls".to_owned()]));
    }

    #[test]
    fn without_a_path_there_are_the_usual_places() {
        let found = tried(c"ls", &[c"PATHS=/a"]).expect("a short name");
        assert_eq!(found.last().map(String::as_str), Some("/usr/bin/ls"));
    }

    #[test]
    fn a_path_is_taken_as_it_is_and_no_name_is_none() {
        assert_eq!(tried(c"./ls", &[c"PATH=/a"]), Ok(vec!["./ls".to_owned()]));
        assert_eq!(tried(c"", &[c"PATH=/a"]), Err(-libc::ENOENT));
    }

    #[test]
    fn what_is_too_long_is_refused_or_passed_over() {
        let long = CString::new(vec![b'x'; 256]).expect("no zeros");
        assert_eq!(tried(&long, &[c"PATH=/a"]), Err(-libc::ENAMETOOLONG));
        let path = CString::new([b"PATH=/".as_slice(), &[b'd'; 4096], b":/b"].concat()).expect("no zeros");
        assert_eq!(tried(c"ls", &[&path]), Ok(vec!["/b/ls".to_owned()]));
    }
}
